"""What a process reports of itself (`grpc.health.v1`), and its end when its event loop is stuck.

Three kinds of names: `liveness`, SERVING whenever the event loop runs; the empty one, for balancers, SERVING from when
a service of the process can do its work until it drains; and each contract, SERVING while its service can. Why
balancers do not use the last ones: docs/operations.md.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from .background import failing_loops
from .health_names import LIVENESS, REASON_KEY
from .logs import get_logger
from .metrics import LOOP_DELAY, READY
from .transport import Transport

if TYPE_CHECKING:
    from .database import Database

logger = get_logger(__name__)

SERVICE_NAME: str = health.SERVICE_NAME
_LOOK_S = 0.25
_BEAT_S = 0.5
_STUCK_EXIT_CODE = 70
_Request: TypeAlias = health_pb2.HealthCheckRequest
_Status: TypeAlias = health_pb2.HealthCheckResponse
_Context = grpc.aio.ServicerContext[Any, Any]


class HealthStatuses(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # it has no types
    """Serves statuses by name. While gRPC's own servicer writes it holds a lock: who does not read would stop all."""

    def __init__(self) -> None:
        self._statuses: dict[str, int] = {}
        self._reasons: dict[str, str] = {}
        self._changed = asyncio.Event()

    def set(self, name: str, status: int, reason: str | None = None) -> None:
        self._reasons[name] = reason or ""
        if self._statuses.get(name) != status:
            self._statuses[name] = status
            self._changed.set()
            self._changed = asyncio.Event()

    async def Check(self, request: _Request, context: _Context) -> _Status:  # noqa: N802 - the generated base names it
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        if reason := self._reasons[request.service]:
            context.set_trailing_metadata(((REASON_KEY, reason),))
        return _Status(status=status)

    async def Watch(self, request: _Request, context: _Context) -> None:  # noqa: N802 - the generated base names it
        written: int | None = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, _Status.SERVICE_UNKNOWN)
            if status != written:
                await context.write(_Status(status=status))
                written = status
            else:
                await changed.wait()


class Health:
    """The health of a process, which servers report by gRPC and all processes by a metric."""

    def __init__(
        self, contracts: Mapping[str, Sequence[Database]], *, away_s: float, loops_failing_s: float = 60.0
    ) -> None:
        """Creates the service.

        Args:
            contracts: The databases of the services that serve each contract, by its name. The process takes calls from
                when those of one contract were reached: a service whose database is late keeps no other from its work.
            away_s: A contract is not served until its databases were reached, and once one of them has been unreachable
                for so many seconds ...
            loops_failing_s: ... or a background loop of the process has not stopped failing for so many.
        """
        self._contracts = contracts
        self._away_s = away_s
        self._loops_failing_s = loops_failing_s
        self._failing_since: float | None = None
        self._draining = False
        self._statuses = HealthStatuses()

    def register(self, transport: Transport) -> None:
        health_pb2_grpc.add_HealthServicer_to_server(self._statuses, transport)

    def start(self) -> None:
        """Reports from now on whether the process takes calls."""
        self._statuses.set(LIVENESS, _Status.SERVING)
        self._look()

    async def watch(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(_LOOK_S)

    def drain(self) -> None:
        """Reports from now on that the process takes no calls, though it lives."""
        self._draining = True
        READY.set(0)
        for name in ("", *self._contracts):
            self._statuses.set(name, _Status.NOT_SERVING, "the process drains")

    def _look(self) -> None:
        if self._draining:
            return
        now = time.monotonic()
        if not failing_loops():
            self._failing_since = None
        elif self._failing_since is None:
            self._failing_since = now
        loops_fail = self._failing_since is not None and now - self._failing_since >= self._loops_failing_s
        reasons = [_first(it.not_ready for it in databases) for databases in self._contracts.values()]
        not_ready = None if None in reasons else _first(reasons)
        READY.set(not_ready is None)
        self._report("", not_ready)
        for name, databases in self._contracts.items():
            reason = _first(map(self._trouble_of, databases))
            self._report(name, reason or ("a background loop of the process fails" if loops_fail else None))

    def _trouble_of(self, database: Database) -> str | None:
        is_away = database.unreachable_s > self._away_s
        return database.not_ready or (f"the database of schema {database.schema} is unreachable" if is_away else None)

    def _report(self, name: str, reason: str | None) -> None:
        self._statuses.set(name, _Status.SERVING if reason is None else _Status.NOT_SERVING, reason)


def _first(reasons: Iterable[str | None]) -> str | None:
    return next(filter(None, reasons), None)


class Watchdog:
    """Notices an event loop that does nothing any more.

    It counts its own looks rather than seconds: a process that was stopped as a whole (SIGSTOP, a paused virtual
    machine) is not stuck.
    """

    def __init__(self, stuck_s: float, on_stuck: Callable[[], None]) -> None:
        self._looks = max(1, round(stuck_s / _BEAT_S))
        self._on_stuck = on_stuck
        self._silent = 0

    def beat(self) -> None:
        self._silent = 0

    def look(self) -> None:
        """Notes that another half second has passed."""
        self._silent += 1
        if self._silent == self._looks:
            self._on_stuck()


@contextmanager
def ends_when_stuck(stuck_s: float) -> Iterator[None]:
    """Ends the process when the running event loop is stuck for `stuck_s` seconds during the block."""
    loop, thread = asyncio.get_running_loop(), threading.get_ident()
    watchdog = Watchdog(stuck_s, lambda: _end_process(thread))
    over = threading.Event()

    def beat(due: float) -> None:
        watchdog.beat()
        now = loop.time()
        LOOP_DELAY.observe(max(0.0, now - due))
        if not over.is_set():
            loop.call_later(_BEAT_S / 2, beat, now + _BEAT_S / 2)

    def look() -> None:
        while not over.wait(_BEAT_S):
            watchdog.look()

    beat(loop.time())
    threading.Thread(target=look, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _end_process(thread: int) -> None:
    frame = sys._current_frames().get(thread)  # noqa: SLF001  # the documented way to the stack of another thread
    stack = [f"{it.filename}:{it.lineno} {it.name}" for it in traceback.extract_stack(frame)] if frame else []
    logger.critical("event loop stuck: the process ends", stack=stack)
    sys.stderr.flush()
    os._exit(_STUCK_EXIT_CODE)
