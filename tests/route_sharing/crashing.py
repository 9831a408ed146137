"""The task insert_order in a process of its own that dies, as by kill -9, after any number of its steps."""

from __future__ import annotations

import asyncio
import multiprocessing
from typing import Any

from ridehail_servers.chassis import logs
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.route_sharing.insert_order_store import InsertOrderStore
from ridehail_servers.route_sharing.insert_orders import InsertOrders
from ridehail_servers.route_sharing.store import RouteSharingStore
from tests.support.crashing import Countdown, Mortal, MortalDatabase


def run_task(database_url: str, request_id: int, *, steps: int | None) -> multiprocessing.process.BaseProcess:
    """Starts the task.

    Args:
        database_url: Of route_sharing.
        request_id: What the task is about.
        steps: After how many statements and commits it dies, 1 or more; None: it comes to its end.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=_main, args=(database_url, request_id, steps))
    process.start()
    return process


def _main(database_url: str, request_id: int, steps: int | None) -> None:
    logs.configure(service="crashing")
    asyncio.run(_run(database_url, request_id, Countdown(steps)))


async def _run(database_url: str, request_id: int, countdown: Countdown) -> None:
    database = MortalDatabase(
        database_url, schema="order_route_sharing", settings=PoolSettings(), application="crashing"
    )
    database.countdown = countdown
    await database.open()
    store: Any = Mortal(RouteSharingStore(), countdown)
    requests: Any = Mortal(InsertOrderStore(), countdown)
    unused: Any = None  # the queue is for enqueueing only
    await InsertOrders(database, store, requests, unused, system_clock).run(request_id)
    await database.close()
