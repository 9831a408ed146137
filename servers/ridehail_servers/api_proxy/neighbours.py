"""What neighbours do not answer, and for how long they are waited for."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from ridehail_clients import ServiceError
from ridehail_kernel import call_context

Answer = TypeVar("Answer")

# Of what is left of the call's time: the rest is for the answer without the neighbour.
_WAIT_SHARE = 0.8


class AnswerUnreadable(Exception):
    """A neighbour answered what its contract does not allow."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question that a neighbour left unanswered.

    Attributes:
        reason: Why: of the catalogue of errors, the name of a status code, `UNREADABLE` or `UNEXPECTED`.
        error: What was not foreseen; None: the reason says all.
    """

    reason: str
    error: Exception | None = None


async def answer_to(question: Awaitable[Answer]) -> Answer | Unanswered:
    """Returns a neighbour's answer, or why there is none.

    Args:
        question: A call by the client library; may raise `AnswerUnreadable` as well.
    """
    try:
        return await question
    except Exception as error:  # whatever garbage makes the client library do is no reason to fail the rider
        return unanswered(error)


def unanswered(error: Exception) -> Unanswered:
    """Returns why a neighbour left a question unanswered.

    Args:
        error: What asking it has come to.
    """
    if isinstance(error, ServiceError):
        # The reasons of the catalogue are few; what another server calls its reason may be anything.
        return Unanswered(error.REASON or error.code.name)
    if isinstance(error, AnswerUnreadable):
        return Unanswered("UNREADABLE")
    return Unanswered("UNEXPECTED", error)


def time_to_wait(wanted_s: float) -> float:
    """Returns how long neighbours may be waited for, so that there is time left to answer without them.

    Args:
        wanted_s: How long the configuration allows, in seconds.
    """
    remaining = call_context.remaining()
    return wanted_s if remaining is None else min(wanted_s, max(remaining, 0.0) * _WAIT_SHARE)
