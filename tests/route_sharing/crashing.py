"""The task insert_order, with each step counted by a crash injector."""

from __future__ import annotations

from multiprocessing.process import BaseProcess
from typing import Any

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.route_sharing.store import RouteSharingStore
from ridehail_servers.route_sharing.tasks import InsertOrders
from tests.support import processes
from tests.support.crash_injector import CrashInjector


def run_task(database_url: str, request_id: int, *, crash_after: int) -> BaseProcess:
    """Starts the task.

    Args:
        database_url: Of route_sharing.
        request_id: What the task is about.
        crash_after: The statement or commit that it does not survive, from 1.
    """
    return processes.start(_run, database_url, request_id, crash_after)


async def _run(database_url: str, request_id: int, crash_after: int) -> None:
    injector = CrashInjector(crash_after)
    async with injector.database(database_url, "order_route_sharing") as database:
        unused: Any = None  # the queue is for enqueueing only
        await InsertOrders(database, injector.wrap(RouteSharingStore()), unused, system_clock).run(request_id)
