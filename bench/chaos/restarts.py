"""Two servers of one service behind the client library: restarted one after the other, and one of them hung."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

from bench.open_loop import quantile
from ridehail_clients import AsyncOrderCoreClient
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.ports import free_port

from .calls import WORKLOADS, Journal, Keys, found_in, shared_order
from .client_load import ClientLoad, TimedCall, failures
from .postgres import HOST, Postgres, signal_tree
from .report import ChaosReport, Effort
from .stack import RidehailProcess, ServerFolder

PART = "restarts"
SET_ASIDE_S = 5.0
"""After this time a server that hangs gets no more calls."""

_SERVICE = "order-core"
_GAPS_S = (0.0, 1.0, 5.0, 30.0)
_READ_RATE, _WRITE_RATE = 40.0, 10.0
_SETTLE_S = 2.0
_HUNG_S = 30.0


class _Pair:
    """Two servers, and a client that knows both addresses."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.server_folder = ServerFolder(folder)
        self.postgres = Postgres(folder / "postgres")
        stack.callback(self.postgres.stop)
        self.postgres.start_with_schemas()
        self.servers: list[RidehailProcess] = []
        self._addresses: list[str] = []
        for number in (1, 2):
            port = free_port(HOST, 0)
            urls, addresses = {_SERVICE: self.postgres.url}, {_SERVICE: f"{HOST}:{port}"}
            server = self.server_folder.serve([_SERVICE], urls, addresses, name=f"server-{number}", port=port)
            stack.callback(server.kill)
            server.start()
            self.servers.append(server)
            self._addresses.append(f"{HOST}:{port}")
        self.keys = Keys()
        self.journal = Journal()

    async def client(self, stack: AsyncExitStack) -> AsyncOrderCoreClient:
        ticket = TicketIssuer(self.server_folder.keys, "admin")
        return await stack.enter_async_context(AsyncOrderCoreClient("ipv4:" + ",".join(self._addresses), ticket=ticket))

    async def watched(self, stack: AsyncExitStack) -> tuple[ClientLoad, ClientLoad]:
        """Returns reads, which the client may repeat, and writes, which it may not once a server has received them."""
        client = await self.client(stack)

        async def read(number: int) -> None:
            await client.get_order_info(order_id=shared_order(number))

        async def write(_number: int) -> None:
            (key,) = self.keys.take(1)
            self.journal.sent.add(key)
            await client.set_order_fields(order_id=shared_order(int(key)), push={"chaos.marks": [key]})
            self.journal.acknowledged.add(key)

        return ClientLoad(read, _READ_RATE), ClientLoad(write, _WRITE_RATE)

    def restart_both(self, gap_s: float) -> None:
        for number, server in enumerate(self.servers):
            if number:
                time.sleep(gap_s)
            server.stop()
            server.start()


async def _rolling(pair: _Pair, gap_s: float, report: ChaosReport) -> None:
    async with AsyncExitStack() as stack:
        reads, writes = await pair.watched(stack)
        async with asyncio.TaskGroup() as group:
            for load in (reads, writes):
                group.create_task(load.run())
            await asyncio.sleep(_SETTLE_S)
            await asyncio.to_thread(pair.restart_both, gap_s)
            await asyncio.sleep(_SETTLE_S)
            reads.stop()
            writes.stop()
    failed = failures(reads.attempts) + failures(writes.attempts)
    figures = {
        "reads": len(reads.attempts),
        "failed": failures(reads.attempts).total(),
        "writes": len(writes.attempts),
        "writes failed": failures(writes.attempts).total(),
        "longest s": max(attempt.seconds for attempt in reads.attempts),
    }
    report.add(
        PART,
        f"rolling restart, {gap_s:g} s between",
        figures,
        promise="0 failed calls",
        kept=not failed,
        note=_named(failed),
    )


async def _hung(pair: _Pair, seconds: float, report: ChaosReport) -> None:
    async with AsyncExitStack() as stack:
        reads, writes = await pair.watched(stack)
        async with asyncio.TaskGroup() as group:
            for load in (reads, writes):
                group.create_task(load.run())
            await asyncio.sleep(_SETTLE_S)
            process = pair.servers[0].process
            assert process is not None
            began = time.time()
            signal_tree(process.pid, signal.SIGSTOP)
            await asyncio.sleep(seconds)
            signal_tree(process.pid, signal.SIGCONT)
            healed = time.time()
            await asyncio.sleep(_SETTLE_S)
            reads.stop()
            writes.stop()
    before = [attempt for attempt in reads.attempts if attempt.sent < began]
    during = [attempt for attempt in reads.attempts if began <= attempt.sent < healed]
    later = [attempt for attempt in during if attempt.sent > began + SET_ASIDE_S]
    later_writes = [it for it in writes.attempts if began + SET_ASIDE_S < it.sent < healed]
    figures = {
        "reads while it hangs": len(during),
        "failed": failures(during).total(),
        f"failed after {SET_ASIDE_S:.0f} s": failures(later).total(),
        f"writes failed after {SET_ASIDE_S:.0f} s": f"{failures(later_writes).total()}/{len(later_writes)}",
        "p50 ms before": _p50_ms(before),
        "p50 ms later": _p50_ms(later),
    }
    report.add(
        PART,
        f"one of two servers hangs for {seconds:g} s",
        figures,
        promise=f"0 failed reads after {SET_ASIDE_S:.0f} s",
        kept=not failures(later),
        note=_named(failures(during)),
    )


def _p50_ms(attempts: Sequence[TimedCall]) -> float:
    return 1000 * quantile((attempt.seconds for attempt in attempts), 0.5)


def _named(failed: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in failed.most_common(4))


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    with ExitStack() as stack:
        pair = await asyncio.to_thread(_Pair, folder, stack)
        for gap_s in _GAPS_S[:2] if effort.quick else _GAPS_S:
            await _rolling(pair, gap_s, report)
        await _hung(pair, 8.0 if effort.quick else _HUNG_S, report)
        found = await asyncio.to_thread(found_in, pair.postgres.url, WORKLOADS[_SERVICE].written)
        judged = pair.journal.judge(found)
        kept = judged["lost"] == judged["doubled"] == 0
        report.add(PART, "acknowledged writes", judged, promise="0 lost, 0 doubled", kept=kept)
