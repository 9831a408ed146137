"""Request id, access log and metrics of every call."""

from __future__ import annotations

import re
import time
import uuid
from contextvars import ContextVar
from dataclasses import dataclass

from ridehail_clients import call_context
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.methods import MethodTable, ServedMethod
from ridehail_servers.chassis.metrics import RPC_DURATION, RPC_ERRORS, RPC_IN_FLIGHT

from .base import CallInterceptor, Context, Handler, Request, Response, metadata_of

REQUEST_ID_KEY = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")

logger = get_logger(__name__)


@dataclass(slots=True)
class CallRecord:
    """What the other interceptors tell the access log about a call.

    Attributes:
        caller: The calling service, once its ticket is verified.
        status: The name of the answered code.
        reason: Of the answered error.
    """

    caller: str = ""
    status: str = "OK"
    reason: str = ""


_record: ContextVar[CallRecord] = ContextVar("call_record")


def current_record() -> CallRecord:
    """Returns the record of the call that is being handled."""
    return _record.get()


class TelemetryInterceptor(CallInterceptor):
    """Gives each call a request id, which its log lines and its answer's trailing metadata carry, and measures it.

    A caller's own id is kept when it is 1 to 64 letters, digits, `_`, `.` or `-`.
    """

    def __init__(self, methods: MethodTable, *, log_successes: bool) -> None:
        """Prepares the interceptor.

        Args:
            methods: What it watches.
            log_successes: Whether calls that succeed are logged as well.
        """
        super().__init__(methods)
        self._log_successes = log_successes

    async def around(self, handler: Handler, request: Request, context: Context, served: ServedMethod) -> Response:
        """See CallInterceptor."""
        given = metadata_of(context).get(REQUEST_ID_KEY, "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        record = CallRecord()
        _record.set(record)
        context.set_trailing_metadata(((REQUEST_ID_KEY, request_id),))
        started = time.perf_counter()
        RPC_IN_FLIGHT.inc()
        try:
            with call_context.call_context(request_id=request_id):
                try:
                    return await handler(request, context)
                except BaseException:
                    # Answered errors have left their status; what has not is the caller's own cancellation.
                    if record.status == "OK":
                        record.status = "CANCELLED"
                    raise
                finally:
                    self._report(served.name, record, time.perf_counter() - started)
        finally:
            RPC_IN_FLIGHT.dec()

    def _report(self, name: str, record: CallRecord, seconds: float) -> None:
        RPC_DURATION.labels(name, record.status).observe(seconds)
        if record.reason:
            RPC_ERRORS.labels(name, record.reason).inc()
        if record.status == "OK" and not self._log_successes:
            return
        logger.info(
            "call",
            method=name,
            status=record.status,
            reason=record.reason,
            caller=record.caller,
            duration_ms=round(seconds * 1000, 3),
        )
