"""Request id, access log and metrics of every call."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections import Counter
from functools import cache

from prometheus_client import Histogram

from ridehail_kernel import call_context
from ridehail_kernel.metadata_keys import REQUEST_ID_KEY
from ridehail_servers.chassis.logs import AccessLog, get_logger
from ridehail_servers.chassis.methods import ServedMethod
from ridehail_servers.chassis.metrics import RPC_DURATION, RPC_ERRORS, RPC_IN_FLIGHT
from ridehail_servers.chassis.turns import AtTurnsEnd

from .base import Call, Handler, Layer, Response

logger = get_logger(__name__)
access_log = AccessLog(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_OVERLOADED = "OVERLOADED"
_REFUSALS_S = 1.0


class Telemetry(Layer):
    """Gives each call a request id, which its log lines and its response's trailing metadata carry, and measures it.

    A caller's own id is kept when it is 1 to 64 letters, digits, `_`, `.` or `-`.
    """

    def __init__(self, *, log_successes: bool) -> None:
        self._log_successes = log_successes

    async def around(self, call: Call, inner: Handler) -> Response:
        request_id = request_id_from(call.metadata.get(REQUEST_ID_KEY))
        call.context.set_trailing_metadata(((REQUEST_ID_KEY, request_id),))
        _calls.began()
        started = time.monotonic()
        try:
            with call_context.call_context(
                request_id=request_id, deadline=started + call.seconds, service=call.served.service
            ):
                return await inner(call)
        except BaseException:
            # Answered errors have left their status; what has not is the caller's own cancellation.
            if call.status == "OK":
                call.status = "CANCELLED"
            raise
        finally:
            self._report(call, request_id, time.monotonic() - started)

    def _report(self, call: Call, request_id: str, seconds: float) -> None:
        served = call.served
        _calls.under_way -= 1
        report_call(served, call.status, call.reason, seconds)
        if (call.status == "OK" and not self._log_successes) or call.reason == _OVERLOADED:
            return
        access_log.write(
            served.service,
            method=served.name,
            status=call.status,
            reason=call.reason,
            caller=call.caller,
            request_id=request_id,
            duration_ms=round(seconds * 1000, 3),
        )


def request_id_from(given: str | bytes | None) -> str:
    """Returns the id of a call: its caller's own, if that is a proper one."""
    return given if isinstance(given, str) and _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"


def report_call(served: ServedMethod, status: str, reason: str, seconds: float) -> None:
    """Measures a call. A refusal for overload is counted for the log as well, instead of a line for each."""
    _calls.ended(served, status, seconds)
    if reason:
        RPC_ERRORS.labels(served.service, served.name, reason).inc()
    if reason == _OVERLOADED:
        _refusals.note(served.name)


class _Calls:
    """Measures the calls of the process, once a turn of the event loop."""

    def __init__(self) -> None:
        self.under_way = 0
        # Of those that ended in this turn.
        self._durations: AtTurnsEnd[tuple[ServedMethod, str, float] | None] = AtTurnsEnd(self._measure)

    def began(self) -> None:
        self.under_way += 1
        self._durations.add(None)

    def ended(self, served: ServedMethod, status: str, seconds: float) -> None:
        self._durations.add((served, status, seconds))

    def _measure(self, durations: list[tuple[ServedMethod, str, float] | None]) -> None:
        RPC_IN_FLIGHT.set(self.under_way)
        for duration in filter(None, durations):
            served, status, seconds = duration
            _duration(served.service, served.name, status).observe(seconds)


_calls = _Calls()


class _Refusals:
    """Logs once a second how many calls were refused."""

    def __init__(self) -> None:
        self._calls: Counter[str] = Counter()
        self._awaiting: asyncio.AbstractEventLoop | None = None  # the loop that will log; one that ended never does

    def note(self, method: str) -> None:
        loop = asyncio.get_running_loop()
        if self._awaiting is not loop:
            self._awaiting = loop
            loop.call_later(_REFUSALS_S, self._log)
        self._calls[method] += 1

    def _log(self) -> None:
        logger.warning("calls refused", reason=_OVERLOADED, calls=dict(self._calls))
        self._calls.clear()
        self._awaiting = None


_refusals = _Refusals()


@cache
def _duration(service: str, method: str, status: str) -> Histogram:
    return RPC_DURATION.labels(service, method, status)
