"""What the retention jobs have in common: which rows are old, and the progress that they report.

Source of the ages: the section on the expected amount of data of the toll-roads design: offers are deleted after 24
hours; orders and the changes of their road go to the archive after 24 hours and are deleted after 48.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ridehail_servers.toll_roads.config import RetentionConfig


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """The timestamps before which rows are old; a row of exactly that timestamp is not.

    Attributes:
        offers: Older offers are deleted.
        archive: Older orders and changes go to the archive.
        orders: Older orders and changes that are in the archive are deleted.
    """

    offers: datetime
    archive: datetime
    orders: datetime


def cutoffs(config: RetentionConfig, now: datetime) -> Cutoffs:
    return Cutoffs(
        offers=now - timedelta(hours=config.offers_kept_h),
        archive=now - timedelta(hours=config.archived_after_h),
        orders=now - timedelta(hours=config.orders_kept_h),
    )


class JobStep(StrEnum):
    PURGE_OFFERS = "purge_offers"
    PURGE_SAVE_REQUESTS = "purge_save_requests"
    ARCHIVE_ORDERS = "archive_orders"
    ARCHIVE_LOG = "archive_log"
    PURGE_LOG = "purge_log"
    PURGE_ORDERS = "purge_orders"


class RowOutcome(StrEnum):
    DELETED = "deleted"
    ARCHIVED = "archived"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class StepProgress:
    """The number of rows for which a step has just had an outcome."""

    step: JobStep
    outcome: RowOutcome
    rows: int


ReportProgress = Callable[[StepProgress], None]
"""Receives what a job has done, as soon as it is committed."""
