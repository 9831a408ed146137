"""Decides what an erasure does next, from what all services have of the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class WaitsFor(StrEnum):
    """What an open job waits for."""

    WORKER = "worker"
    ACTIVE_ORDERS = "active_orders"
    SERVICES = "services"
    ARCHIVE = "archive"
    SETTLING = "settling"


class NextStep(StrEnum):
    """What an erasure does next, when it does not wait."""

    ERASE = "erase"
    END = "end"


@dataclass(frozen=True, slots=True)
class Identifiers:
    """All by which services know a user."""

    yandex_uid: str
    phone_ids: frozenset[str]
    order_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServiceSurvey:
    """What one service has of a user; `counts` by kind."""

    counts: Mapping[str, int]
    has_active_orders: bool
    pending: int
    phone_ids: frozenset[str]
    order_ids: frozenset[str]


def widened(known: Identifiers, surveys: Mapping[str, ServiceSurvey]) -> Identifiers:
    """Returns the identifiers with those that services know beside them."""
    return Identifiers(
        known.yandex_uid,
        known.phone_ids.union(*(survey.phone_ids for survey in surveys.values())),
        known.order_ids.union(*(survey.order_ids for survey in surveys.values())),
    )


def next_step(
    surveys: Mapping[str, ServiceSurvey], *, is_owed: bool, quiet: timedelta, settle: timedelta
) -> NextStep | WaitsFor:
    """Decides what an erasure does, or what it waits for.

    An order under way needs what belongs to it, so nothing is erased before it ends. What others were about to store
    when all was erased is stored within `settle`; only a search after that can end the job.

    Args:
        surveys: What each service has now.
        is_owed: Whether a service has yet to do its part of the last pass: it may erase what no search finds.
        quiet: For how long nothing was erased.
        settle: How long that has to be.
    """
    if any(survey.has_active_orders for survey in surveys.values()):
        return WaitsFor.ACTIVE_ORDERS
    if is_owed or any(survey.counts for survey in surveys.values()):
        return NextStep.ERASE
    if any(survey.pending for survey in surveys.values()):
        return WaitsFor.ARCHIVE
    return NextStep.END if quiet >= settle else WaitsFor.SETTLING
