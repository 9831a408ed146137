"""Request id, access log and metrics of every call."""

from __future__ import annotations

import random
import re
import time
from functools import cache

from prometheus_client import Histogram

from ridehail_clients import call_context
from ridehail_servers.chassis.logs import log_call
from ridehail_servers.chassis.metrics import RPC_DURATION, RPC_ERRORS, RPC_IN_FLIGHT

from .base import Call, Handler, Layer, Response

REQUEST_ID_KEY = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")


class Telemetry(Layer):
    """Gives each call a request id, which its log lines and its answer's trailing metadata carry, and measures it.

    A caller's own id is kept when it is 1 to 64 letters, digits, `_`, `.` or `-`.
    """

    def __init__(self, *, log_successes: bool) -> None:
        """Prepares the layer.

        Args:
            log_successes: Whether calls that succeed are logged as well.
        """
        self._log_successes = log_successes

    async def around(self, call: Call, inner: Handler) -> Response:
        """See Layer."""
        given = call.metadata.get(REQUEST_ID_KEY)
        request_id = given if given and _REQUEST_ID.fullmatch(given) else f"{random.getrandbits(128):032x}"
        call.context.set_trailing_metadata(((REQUEST_ID_KEY, request_id),))
        RPC_IN_FLIGHT.inc()
        started = time.monotonic()
        try:
            with call_context.call_context(request_id=request_id, deadline=started + call.seconds):
                return await inner(call)
        except BaseException:
            # Answered errors have left their status; what has not is the caller's own cancellation.
            if call.status == "OK":
                call.status = "CANCELLED"
            raise
        finally:
            self._report(call, request_id, time.monotonic() - started)
            RPC_IN_FLIGHT.dec()

    def _report(self, call: Call, request_id: str, seconds: float) -> None:
        name = call.served.name
        _duration(name, call.status).observe(seconds)
        if call.reason:
            RPC_ERRORS.labels(name, call.reason).inc()
        if call.status == "OK" and not self._log_successes:
            return
        log_call(
            module=__name__,
            method=name,
            status=call.status,
            reason=call.reason,
            caller=call.caller,
            request_id=request_id,
            duration_ms=round(seconds * 1000, 3),
        )


@cache
def _duration(method: str, status: str) -> Histogram:
    return RPC_DURATION.labels(method, status)
