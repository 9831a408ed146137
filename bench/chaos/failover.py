"""The primary fails, its synchronous standby takes over: do all roles move, and is everything acknowledged there?

The servers' URL names both. Fenced: nobody reaches the old primary any more. Not fenced: it comes back later as a
primary.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo

from bench import open_loop
from bench.open_loop import Event, Events, Stream
from ridehail_servers.runtime.ports import free_port
from tests.support.tcp_proxy import Mode, TcpProxy, tcp_proxy

from .calls import WORKLOADS, Calls, Journal, Keys, found_in, settled
from .outage_cases import recovered
from .postgres import HOST, Postgres
from .report import ChaosReport, Effort
from .stack import RIDEHAIL, ServerFolder

PART = "failover"
MOVED_WITHIN_S = 20.0
"""Within this time of the promotion every role works with the new primary."""

_SERVICES = ("toll-roads", "order-core", "eulas", "family")
_RATE = 15.0
_BEFORE_S = 2.0
_DETECTED_S = 2.0
_AFTER_S = 25.0
_OLD_RETURNS_S = 18.0
_TASKS_WITHIN_S = 60.0
_JOB_S = 60.0
# Whoever connects tries the old primary first, which hangs, and gives that up after two seconds.
_ATTEMPT_S = 4.0


@dataclass(frozen=True)
class _Way:
    """How the primary fails: killed or hung, fenced or not before the standby is promoted."""

    name: str
    hangs: bool
    fenced: bool


_WAYS = (
    _Way("killed, fenced", hangs=False, fenced=True),
    _Way("killed, not fenced", hangs=False, fenced=False),
    _Way("hung, fenced", hangs=True, fenced=True),
    _Way("hung, not fenced", hangs=True, fenced=False),
)


class _Cluster:
    """A primary, a standby, servers and a worker."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.server_folder = ServerFolder(folder)
        self.primary = Postgres(folder / "primary")
        stack.callback(self.primary.stop)
        self.primary.start_with_schemas()
        self.standby = self.primary.standby(folder / "standby")
        stack.callback(self.standby.stop)
        self.proxies: list[TcpProxy] = [
            stack.enter_context(tcp_proxy((HOST, server.port))) for server in (self.primary, self.standby)
        ]
        ports = ",".join(str(proxy.port) for proxy in self.proxies)
        self.url = conninfo.make_conninfo(self.primary.url, host=f"{HOST},{HOST}", port=ports)
        port = free_port(HOST, 0)
        self.address = f"{HOST}:{port}"
        urls = dict.fromkeys(_SERVICES, self.url)
        addresses = dict.fromkeys(_SERVICES, self.address)
        for process in (
            self.server_folder.serve(_SERVICES, urls, addresses, name="server", port=port),
            self.server_folder.worker(["toll-roads"], urls, addresses, name="worker"),
        ):
            stack.callback(process.kill)
            process.start()

    def fail(self, way: _Way) -> None:
        """Makes the primary fail, and promotes the standby."""
        if way.hangs:
            self.primary.signal(signal.SIGSTOP)
        else:
            self.primary.kill()
        time.sleep(_DETECTED_S)
        if way.fenced:
            self.proxies[0].set(Mode.REFUSE)
        self.standby.promote()

    def return_old(self, way: _Way) -> None:
        """Brings the old primary back, which has not noticed the failover."""
        if way.hangs:
            self.primary.signal(signal.SIGCONT)
        else:
            self.primary.start()

    def task_connections(self) -> int:
        """Returns the number of connections for tasks that the new primary has, the one that listens included."""
        with psycopg.connect(self.standby.url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE '%tasks%'"
            ).fetchone()
            return int(row[0]) if row else 0

    def runs_retention(self) -> bool:
        """Runs a retention job against both servers; returns whether it succeeded."""
        words = [
            "toll-roads",
            "purge-offers",
            "--database-url",
            self.url,
            "--data-dir",
            str(self.server_folder.folder / "data"),
        ]
        with suppress(subprocess.TimeoutExpired):
            return subprocess.run([RIDEHAIL, *words], capture_output=True, timeout=_JOB_S, check=False).returncode == 0
        return False


class _Case:
    def __init__(self, cluster: _Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._keys = Keys()
        self._streams: list[tuple[Stream, Calls, list[str]]] = []
        seconds = _BEFORE_S + _DETECTED_S + _AFTER_S
        for service in _SERVICES:
            workload = WORKLOADS[service]
            for calls in filter(None, (workload.write, workload.read, workload.task)):
                numbers = self._keys.take(math.ceil(_RATE * seconds))
                stream = calls.stream(cluster.address, cluster.server_folder.keys, numbers, _RATE)
                self._streams.append((stream, calls, numbers))

    async def run(self, way: _Way) -> dict[str, object]:
        """Runs one failover under load; returns the figures."""
        seconds = _BEFORE_S + _DETECTED_S + _AFTER_S
        running = asyncio.create_task(open_loop.run([it[0] for it in self._streams], seconds, self._folder))
        await asyncio.sleep(_BEFORE_S)
        await asyncio.to_thread(self._cluster.fail, way)
        promoted = time.time()
        task_done = await self._first_task_after(promoted)
        retention = await asyncio.to_thread(self._cluster.runs_retention)
        task_connections = await asyncio.to_thread(self._cluster.task_connections)
        left = self._cluster.proxies[0].connections_older_than(_ATTEMPT_S)
        await asyncio.sleep(max(0.0, promoted + _OLD_RETURNS_S - time.time()))
        if not way.fenced:
            await asyncio.to_thread(self._cluster.return_old, way)
        events = await running
        figures: dict[str, object] = {"servers moved s": max(self._moved(events, promoted))}
        figures |= {
            "worker moved s": task_done,
            "task connections": task_connections,
            "retention job": "ok" if retention else "failed",
        }
        figures |= {"connections left at the old primary": left}
        return figures | await self._judge(events)

    def _moved(self, events: Events, promoted: float) -> Sequence[float]:
        moved = []
        for service in _SERVICES:
            own = [events[stream.name] for stream, calls, _numbers in self._streams if calls.service == service]
            back = recovered(sorted(itertools.chain(*own), key=_sent), promoted)
            moved.append(math.inf if back is None else back - promoted)
        return moved

    async def _first_task_after(self, promoted: float) -> float:
        """Returns seconds from the promotion until the worker has done a task in the new primary."""
        query = "SELECT order_id FROM toll_roads.log_has_toll_road"
        before = len(await asyncio.to_thread(found_in, self._cluster.standby.url, query))
        while time.time() < promoted + _AFTER_S:
            if len(await asyncio.to_thread(found_in, self._cluster.standby.url, query)) > before:
                return time.time() - promoted
            await asyncio.sleep(0.1)
        return math.inf

    async def _judge(self, events: Events) -> dict[str, object]:
        total: Counter[str] = Counter()
        tasks_left = 0
        for stream, calls, numbers in self._streams:
            workload = WORKLOADS[calls.service]
            if calls is workload.read:
                continue
            journal = Journal()
            journal.note(numbers, events[stream.name])
            if calls is workload.task:
                tasks_left += (await self._settled(journal, workload.done))["lost"]
            else:
                total.update(await self._settled(journal, workload.written))
        return {"tasks left": tasks_left, **{name: total[name] for name in ("acknowledged", "lost", "doubled")}}

    async def _settled(self, journal: Journal, query: str) -> dict[str, int]:
        return await settled(journal, self._cluster.standby.url, query, within_s=_TASKS_WITHIN_S)


def _sent(event: Event) -> float:
    return event.sent


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    """Quick: only the hung primary that nobody fences."""
    for number, way in enumerate(_WAYS[-1:] if effort.quick else _WAYS):
        own = folder / str(number)
        own.mkdir(mode=0o755)
        with ExitStack() as stack:
            cluster = await asyncio.to_thread(_Cluster, own, stack)
            figures = await _Case(cluster, own).run(way)
        times = (float(str(figures[name])) for name in ("servers moved s", "worker moved s"))
        kept = max(times) <= MOVED_WITHIN_S and figures["tasks left"] == figures["lost"] == figures["doubled"] == 0
        report.add(
            PART,
            f"primary {way.name}",
            figures,
            promise=f"all roles move within {MOVED_WITHIN_S:.0f} s of the promotion, 0 acknowledged writes lost",
            kept=kept
            and figures["task connections"] != 0
            and figures["connections left at the old primary"] == 0
            and figures["retention job"] == "ok",
        )
