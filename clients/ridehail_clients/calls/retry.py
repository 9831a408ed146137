"""The one place that decides whether and when a failed attempt is repeated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypedDict

import grpc
import tenacity
from tenacity.stop import stop_base
from tenacity.wait import wait_base

from ridehail_clients.errors import BreakerOpen, ClientClosed, ServiceError, TransportUnavailable

_RETRYABLE = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        # A server that shuts down cancels what it still has under way.
        grpc.StatusCode.CANCELLED,
        # Of one attempt: when the whole call's time is over, `retry_rules` stops anyway.
        grpc.StatusCode.DEADLINE_EXCEEDED,
    }
)
# The messages of gRPC's load balancing for a call for which it has no connection. No server has seen such a call.
_NOT_SENT = ("connections to all backends failing", "failed to connect to all addresses")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon a call that is safe to repeat, or that no server has seen, is repeated.

    Attributes:
        attempts: The most attempts of one call, the first included; at least 1.
        initial_backoff_s: The wait before the second attempt, in seconds; doubles before each further one.
        max_backoff_s: The longest such wait, in seconds. A longer wait that the server asks for is honoured.
        jitter: Whether each wait is drawn evenly between nothing and the backoff, so that many callers do not come back
            at the same time.
    """

    attempts: int = 3
    initial_backoff_s: float = 0.02
    max_backoff_s: float = 0.5
    jitter: bool = True

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("attempts must be at least 1")
        if self.initial_backoff_s < 0 or self.max_backoff_s < 0:
            raise ValueError("backoffs must not be negative")


class RetryRules(TypedDict):
    """The arguments of `tenacity.Retrying` and `tenacity.AsyncRetrying`."""

    stop: stop_base
    wait: wait_base
    retry: tenacity.retry_if_exception
    reraise: bool


def retry_rules(policy: RetryPolicy, *, idempotent: bool, time_left: float, is_open: Callable[[], bool]) -> RetryRules:
    """Returns the rules for one call.

    Args:
        policy: How often and how soon.
        idempotent: Whether a repeat is safe; if not, only attempts that no server has seen are repeated.
        time_left: Seconds until the whole call has to end. A wait that would not end before is not begun: the last
            error is raised at once.
        is_open: Returns whether the client is still open. Closing it cancels its calls, as a server may.
    """
    return RetryRules(
        stop=tenacity.stop_after_attempt(policy.attempts) | tenacity.stop_before_delay(time_left),
        wait=_RequestedOrBackoff(policy),
        retry=tenacity.retry_if_exception(lambda error: may_repeat(error, idempotent=idempotent, is_open=is_open)),
        reraise=True,
    )


def may_repeat(error: BaseException, *, idempotent: bool, is_open: Callable[[], bool]) -> bool:
    """Returns whether an attempt of a call that failed in this way is repeated, see `retry_rules`."""
    return is_open() and is_retryable(error) and (idempotent or _is_not_sent(error))


def is_retryable(error: BaseException) -> bool:
    """Returns whether an attempt that failed in this way may succeed when repeated.

    Anything but a `ServiceError` is not retryable, cancellation least of all.
    """
    if not isinstance(error, ServiceError) or isinstance(error, ClientClosed | BreakerOpen):
        return False
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        # Without a delay it may be a limit that stays, such as the size of a message.
        return error.retry_after is not None
    return error.code in _RETRYABLE


def _is_not_sent(error: BaseException) -> bool:
    return isinstance(error, TransportUnavailable) and error.message.startswith(_NOT_SENT)


class _RequestedOrBackoff(wait_base):
    """Waits as long as the server asked for, but not shorter than the backoff."""

    def __init__(self, policy: RetryPolicy) -> None:
        backoff = tenacity.wait_random_exponential if policy.jitter else tenacity.wait_exponential
        self._backoff = backoff(multiplier=policy.initial_backoff_s, max=policy.max_backoff_s)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        requested = error.retry_after if isinstance(error, ServiceError) else None
        return max(requested or 0.0, self._backoff(retry_state))
