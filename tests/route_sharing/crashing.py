"""The tasks insert_order and family_publish, with each step counted by a crash injector."""

from __future__ import annotations

from multiprocessing.process import BaseProcess
from typing import Any

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.family.codec import snapshot_to_message
from ridehail_servers.family.membership import FamilySnapshot
from ridehail_servers.family.publication import PublishFamilies
from ridehail_servers.family.publication_store import PublicationStore
from ridehail_servers.route_sharing.codec import followed_family
from ridehail_servers.route_sharing.followed_families import FollowedFamilies
from ridehail_servers.route_sharing.followed_family_store import FollowedFamilyStore
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


def publish(database_url: str, family_number: int, *, crash_after: int) -> BaseProcess:
    """Starts family_publish with both sides of its call in one process, so that each can die at each of its steps.

    Args:
        database_url: Of family and route_sharing.
        family_number: What the task is about.
        crash_after: The statement or commit of either side that it does not survive, from 1.
    """
    return processes.start(_publish, database_url, family_number, crash_after)


class _Follower:
    def __init__(self, families: FollowedFamilies) -> None:
        self._families = families

    async def put_family(self, snapshot: FamilySnapshot) -> None:
        await self._families.put(followed_family(snapshot_to_message(snapshot)))


async def _publish(database_url: str, family_number: int, crash_after: int) -> None:
    injector = CrashInjector(crash_after)
    async with (
        injector.database(database_url, "family") as family,
        injector.database(database_url, "order_route_sharing") as route_sharing,
    ):
        follower = _Follower(FollowedFamilies(route_sharing, injector.wrap(FollowedFamilyStore()), system_clock))
        await PublishFamilies(family, injector.wrap(PublicationStore()), follower, system_clock).publish(family_number)
