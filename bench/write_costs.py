"""What a write costs, with the background task that it causes: `python -m bench.write_costs`.

Services, their workers and the callers share this process; Postgres is measured by itself, all of its processes.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
from psycopg import conninfo

from ridehail_clients import (
    AsyncEulasClient,
    AsyncOrderStateClient,
    AsyncRouteSharingClient,
    AsyncTollRoadsClient,
    EulaDecision,
    EulaState,
)
from ridehail_servers import resources, suite
from ridehail_servers.runtime.data_dir import DataDir
from tests.support.folders import shared_folder
from tests.support.shared_postgres import TEMPLATE, SharedPostgres
from tests.support.suite_in_process import SuiteInProcess, suite_in_process

from .cpu import cpu_seconds

_WARM_UP, _CALLS, _CALLERS = 200, 1_000, 16
_SERVICES = ("toll-roads", "order-core", "order-state", "eulas", "route-sharing", "family")
_OPEN_TASKS = """
    SELECT count(*) FROM {schema}.procrastinate_jobs WHERE status IN ('todo', 'doing') AND task_name = '{task}'
"""

Write = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class WriteKind:
    """A kind of writes; `task` is what each causes, as schema and name."""

    write: Write
    task: tuple[str, str] | None = None


async def main() -> None:
    with shared_folder() as folder:
        postgres = SharedPostgres(folder)
        try:
            url = conninfo.make_conninfo(postgres.url(), dbname=TEMPLATE)
            process = postgres.process()
            assert process is not None
            async with _running(url, folder) as running, running.worker(), _kinds(running) as kinds:
                for name, kind in kinds.items():
                    numbers = itertools.count()
                    await _send(running, kind, numbers, _WARM_UP)
                    before = _used_s(process)
                    await _send(running, kind, numbers, _CALLS)
                    own, postgres_s = (now - then for then, now in zip(before, _used_s(process), strict=True))
                    sys.stdout.write(
                        f"{name}: callers, services and workers {own / _CALLS * 1e6:.0f} us,"
                        f" Postgres {postgres_s / _CALLS * 1e6:.0f} us\n"
                    )
                    sys.stdout.flush()
        finally:
            postgres.stop()


@asynccontextmanager
async def _running(url: str, folder: Path) -> AsyncIterator[SuiteInProcess]:
    config = resources.folder("config")
    data_dir = DataDir(folder / "suite")
    data_dir.path.mkdir()
    data_dir.ensure_keys(suite.ticket_sources(config))
    async with suite_in_process(
        database_url=url, keys_dir=data_dir.keys, config_dir=config, services=_SERVICES
    ) as running:
        yield running


@asynccontextmanager
async def _kinds(running: SuiteInProcess) -> AsyncIterator[Mapping[str, WriteKind]]:
    async with AsyncExitStack() as stack:
        processing = running.ticket("processing")
        toll_roads = await stack.enter_async_context(AsyncTollRoadsClient(running.address, ticket=processing))
        routestats = await stack.enter_async_context(
            AsyncTollRoadsClient(running.address, ticket=running.ticket("routestats"))
        )
        sharing = await stack.enter_async_context(AsyncRouteSharingClient(running.address, ticket=processing))
        eats = await stack.enter_async_context(
            AsyncOrderStateClient(running.address, ticket=running.ticket("eats-orders"))
        )
        eulas = await stack.enter_async_context(AsyncEulasClient(running.address, ticket=running.ticket("admin")))
        now = datetime.now(UTC)
        decision = EulaDecision("surge_il", EulaState.ACCEPTED)
        yield {
            "SaveOffer": WriteKind(lambda n: routestats.save_offer(offer_id=f"offer-{n}")),
            "EnqueueOrderSave": WriteKind(
                lambda n: toll_roads.enqueue_order_save(
                    order_id=f"order-{n}",
                    created=now,
                    offer_id=f"offer-{n}",
                    can_switch_road=True,
                    user_chose_toll_road=True,
                    yandex_uid=f"rider-{n}",
                ),
                ("toll_roads", "toll_roads_order_save"),
            ),
            "EnqueueInsertOrder": WriteKind(
                lambda n: sharing.enqueue_insert_order(
                    order_id=f"order-{n}", sharing_key=f"key-{n}", phone_ids=["phone"], yandex_uid=f"{n}"
                ),
                ("order_route_sharing", "insert_order"),
            ),
            "ReportOrderParts": WriteKind(
                lambda n: eats.report_order_parts(
                    service="eats",
                    orderid=f"order-{n // 10}",
                    yandex_uid=f"{n // 10}",
                    sequence=n % 10 + 1,
                    parts={"full_info": str(n), "eats_tracking": str(n)},
                )
            ),
            "SaveEulas": WriteKind(lambda n: eulas.save_eulas(yandex_uid=f"{n}", eulas=[decision])),
        }


async def _send(running: SuiteInProcess, kind: WriteKind, numbers: itertools.count[int], calls: int) -> None:
    """Makes so many calls, and waits for their tasks."""
    left = itertools.repeat(None, calls)

    async def call_on() -> None:
        for _ in left:
            await kind.write(next(numbers))

    await asyncio.gather(*(call_on() for _ in range(_CALLERS)))
    if kind.task is not None:
        schema, task = kind.task
        while await running.rows(f"{_OPEN_TASKS.format(schema=schema, task=task)} HAVING count(*) > 0"):
            await asyncio.sleep(0.1)


def _used_s(postmaster: psutil.Process) -> tuple[float, float]:
    """Returns the CPU time of this process and of Postgres."""
    return time.process_time(), cpu_seconds([postmaster, *postmaster.children(recursive=True)])


if __name__ == "__main__":
    asyncio.run(main())
