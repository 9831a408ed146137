"""No call takes longer than its caller waits, nor than its contract allows."""

from __future__ import annotations

import asyncio

from ridehail_servers.chassis.errors import DeadlineExceeded

from .base import Call, Handler, Layer, Response


class Deadline(Layer):
    """Bounds the rest of the call by its deadline."""

    async def around(self, call: Call, inner: Handler) -> Response:
        bound = _Bound()
        timer = asyncio.get_running_loop().call_later(call.seconds, bound.expire)
        try:
            return await inner(call)
        except asyncio.CancelledError:
            if bound.caused_cancellation():
                raise DeadlineExceeded from None
            raise
        finally:
            timer.cancel()


class _Bound:
    """Cancels the task that created it, as `asyncio.timeout` does, which takes three times as long to set up."""

    __slots__ = ("_cancelled_before", "_expired", "_task")

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelled_before = task.cancelling()
        self._expired = False

    def expire(self) -> None:
        self._expired = True
        self._task.cancel()

    def caused_cancellation(self) -> bool:
        """Returns whether this alone cancelled the task; asked once, it takes its own cancellation back."""
        return self._expired and self._task.uncancel() <= self._cancelled_before
