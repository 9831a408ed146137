"""One pass: a cluster, the suite on it, traffic, and one fault after the other."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.chaos.postgres import HOST
from bench.chaos.stack import ServerFolder
from ridehail_servers.chassis.background import cancelled
from ridehail_servers.runtime.ports import free_port

from .cluster import FailoverCluster
from .faults import ClusterFault, FailoverPass
from .probes import CatalogueProbe, StaleWriter, TaskProbe
from .tools import Tools
from .traffic import TASKS, ClientTraffic, failures, put_switched_order

_SERVICES: Final = ("toll-roads", "order-core", "eulas", "family", "user-state")
_WORKERS: Final = ("toll-roads", "eulas")
_SETTLED_S: Final = 3.0
_LOOK_S: Final = 0.25
_WITHIN_S: Final = 60.0
_HEALTHY_WITHIN_S: Final = 120.0


@dataclass(frozen=True)
class Episode:
    """One fault and what it did.

    Times are seconds since its beginning, or since its end where that is promised, or None if it took over a minute.

    Attributes:
        calls: Until the first of five writes in a row of each kind; 0 if none failed.
        tasks: Until a task that was enqueued afterwards was done.
        followers: Until a change that was made afterwards was in force in the servers.
        failed: Writes that failed, from the beginning until all was well.
        late: Of those, writes that were sent after `calls`.
        reasons: Why they failed, with their numbers.
        acknowledged: Writes that were, since the last fault.
        lost: Of those, by kind, the number that the cluster does not have ...
        doubled: ... and that of writes, acknowledged or not, that it has twice.
        stale: Writes that the old leader acknowledged when it was back and that the cluster does not have; None where
            there was no such leader.
    """

    way: str
    fault: str
    promised_s: float
    calls: float | None
    tasks: float | None
    followers: float | None
    failed: int
    late: int
    reasons: dict[str, int]
    acknowledged: int
    lost: dict[str, int]
    doubled: dict[str, int]
    stale: int | None
    resets: int

    @property
    def kept(self) -> bool:
        """Whether all that is promised was kept."""
        times = (self.calls, self.tasks, self.followers)
        in_time = all(it is not None and it <= self.promised_s for it in times)
        return in_time and not (self.lost or self.doubled or self.stale)


class FailoverRun:
    """The suite on the cluster of one pass."""

    def __init__(self, what: FailoverPass, folder: Path, programs: Tools, stack: ExitStack) -> None:
        self._pass = what
        self._cluster = FailoverCluster(folder, programs, stack, has_watchdog=what.has_watchdog)
        put_switched_order(self._cluster.url)
        server_folder = ServerFolder(folder)
        _follow_database(server_folder.config / "eulas.yaml")
        port = free_port(HOST, 0)
        self._address, self._tickets = f"{HOST}:{port}", server_folder.keys
        url = self._cluster.proxied_url if what.by_haproxy else self._cluster.url
        urls = dict.fromkeys(_SERVICES, url)
        addresses = dict.fromkeys(_SERVICES, self._address)
        for process in (
            server_folder.serve(_SERVICES, urls, addresses, name="server", port=port),
            server_folder.worker(_WORKERS, urls, addresses, name="worker"),
        ):
            stack.callback(process.kill)
            process.start()

    async def run(self, faults: Sequence[ClusterFault]) -> AsyncGenerator[Episode]:
        """Goes through the faults; yields what each did."""
        async with AsyncExitStack() as stack:
            self._traffic = ClientTraffic(self._address, self._tickets, stack)
            await self._traffic.start()
            self._catalogue = CatalogueProbe(self._address, self._tickets)
            self._tasks = TaskProbe(self._traffic.stream(TASKS), self._cluster.url)
            for probe in (self._catalogue, self._tasks):
                stack.push_async_callback(cancelled, asyncio.create_task(probe.run()))
            async with asyncio.timeout(_WITHIN_S):
                while not (self._catalogue.seen and self._tasks.done):
                    await asyncio.sleep(_LOOK_S)
            self._judged: dict[str, Counter[str]] = {}
            for fault in faults:
                yield await self._episode(fault)

    async def _episode(self, fault: ClusterFault) -> Episode:
        cluster = self._cluster
        leader = await asyncio.to_thread(cluster.leader)
        assert leader is not None
        stale = await StaleWriter.open(cluster.own_url(leader)) if fault.leader_returns else None
        writing = None if stale is None else asyncio.create_task(stale.run())
        resets = self._resets()
        began = time.time()
        await asyncio.to_thread(fault.begin, cluster)
        if fault.with_end:
            await asyncio.sleep(fault.lasts_s)
            since = time.time()
            await asyncio.to_thread(cluster.heal)
        else:
            since = began
        await self._all_back(since, fault)
        await asyncio.sleep(max(0.0, began + fault.lasts_s - time.time()))
        await asyncio.to_thread(cluster.restore, within_s=_HEALTHY_WITHIN_S)
        await asyncio.sleep(_SETTLED_S)
        if writing is not None:
            await cancelled(writing)
        ended = time.time()
        back = self._traffic.back(since, ended)
        judged = await self._traffic.judge(cluster.url, within_s=_WITHIN_S)
        failed = failures(self._traffic.streams, began, ended)
        new = {kind: found - self._judged.get(kind, Counter()) for kind, found in judged.items()}
        self._judged = judged
        return Episode(
            way=self._pass.title,
            fault=fault.name,
            promised_s=fault.promised_s,
            calls=back,
            tasks=_after(self._tasks.first_done(since + (back or 0)), since),
            followers=_after(self._followed(since + (back or 0)), since),
            failed=failed.total(),
            late=failures(self._traffic.streams, since + (back or 0), ended).total(),
            reasons=dict(failed.most_common()),
            acknowledged=sum(found["acknowledged"] for found in new.values()),
            lost={kind: found["lost"] for kind, found in new.items() if found["lost"]},
            doubled={kind: found["doubled"] for kind, found in new.items() if found["doubled"]},
            stale=None if stale is None else await stale.lost(cluster.url),
            resets=self._resets() - resets,
        )

    async def _all_back(self, since: float, fault: ClusterFault) -> None:
        """Waits until everything works again and has for some seconds, for a minute at most.

        Where no write fails, that is when the fault is over, or should have had its effect.
        """
        seen = max(fault.promised_s if fault.lasts_s == 0 else fault.lasts_s, _SETTLED_S)
        while (now := time.time()) < since + _WITHIN_S:
            back = self._traffic.back(since, now)
            if back is not None and since + back < now - _SETTLED_S and (back > 0 or now > since + seen):
                works = since + back
                if self._tasks.first_done(works) is not None and self._followed(works) is not None:
                    return
            await asyncio.sleep(_LOOK_S)

    def _followed(self, since: float) -> float | None:
        return next((at for at in self._catalogue.seen if at >= since), None)

    def _resets(self) -> int:
        return sum(len(it.watchdog.resets) for it in self._cluster.nodes if it.watchdog is not None)


def _after(at: float | None, since: float) -> float | None:
    return None if at is None else at - since


def _follow_database(file: Path) -> None:
    """Makes the agreements of the database those in force."""
    content, count = re.subn(r"EULAS_SOURCE: file", "EULAS_SOURCE: database", file.read_text())
    assert count == 1
    file.write_text(content)


async def run_pass(
    what: FailoverPass, faults: Sequence[ClusterFault], folder: Path, programs: Tools
) -> AsyncGenerator[Episode]:
    """Runs faults of a pass in a folder that other users may pass through; yields what each did."""
    with ExitStack() as stack:
        running = await asyncio.to_thread(FailoverRun, what, folder, programs, stack)
        async with aclosing(running.run(faults)) as episodes:
            async for episode in episodes:
                yield episode
