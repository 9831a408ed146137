"""How long a call, and each attempt of it, may take."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

import grpc

from ridehail_clients.errors import CallTimedOut
from ridehail_kernel.call_context import remaining
from ridehail_kernel.method_contracts import MethodContract

# Of the time that an attempt is given.
_FAIR_SHARE: Final = 0.5


@dataclass(frozen=True, slots=True)
class CallTime:
    """The time of one call.

    Attributes:
        deadline: By when the call ends, on the clock of `time.monotonic`, in seconds.
        attempt_limit: The longest that one attempt may take, in seconds, or None for all the time that is left.
        fair_attempt: The time, in seconds, in which a server can be expected to respond to an attempt.
    """

    deadline: float
    attempt_limit: float | None
    fair_attempt: float

    @classmethod
    def begin(cls, contract: MethodContract, *, timeout: float | None, attempt_timeout: float | None) -> CallTime:
        """Returns the time of a call that begins now.

        It is never longer than what is left of the incoming call that is being handled, if there is one.

        Args:
            contract: Of the called method.
            timeout: Seconds for the whole call, or None for the contract's deadline.
            attempt_timeout: Seconds for one attempt, or None for the contract's. Once a server has seen a call that is
                not safe to repeat, that was its last attempt, so each gets all the time there is.
        """
        whole = contract.deadline if timeout is None else timeout
        inherited = remaining()
        if inherited is not None:
            whole = min(whole, inherited)
        limit = contract.attempt_timeout if attempt_timeout is None else attempt_timeout
        return cls(
            deadline=time.monotonic() + whole,
            attempt_limit=limit if contract.idempotent else None,
            fair_attempt=min(limit, contract.attempt_timeout) * _FAIR_SHARE,
        )

    def left(self) -> float:
        """Returns the seconds until the call has to end, at least 0."""
        return max(self.deadline - time.monotonic(), 0.0)

    def for_attempt(self) -> float:
        """Returns the seconds that an attempt that begins now may take.

        Raises:
            CallTimedOut: No time is left.
        """
        left = self.left_to_begin()
        return left if self.attempt_limit is None else min(self.attempt_limit, left)

    def left_to_begin(self) -> float:
        """Returns the seconds until the call has to end, more than 0.

        Raises:
            CallTimedOut: No time is left.
        """
        left = self.left()
        if not left:
            raise CallTimedOut(grpc.StatusCode.DEADLINE_EXCEEDED, message="no time was left to make the call")
        return left
