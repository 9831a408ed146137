"""The background tasks of route_sharing: insert the phones that orders are shared with, delete old rides."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.purging import Delete, delete_in_batches
from ridehail_servers.chassis.tasks import Task, TaskQueue, TaskRefused

from .followed_family_store import FollowedFamilyStore
from .ride import InsertRequest, Origin
from .store import RouteSharingStore

INSERT: Final = "insert_order"
_REFUSED_BECAUSE: Final = "SHARING_KEY_CONFLICT"

BATCH: Final = 1_000
"""Rides of one transaction. Each may have more than a hundred phones, which go with it."""

logger = get_logger(__name__)


class InsertOrders:
    """Stores orders' phones with the task that inserts them, and runs it."""

    def __init__(self, database: Database, store: RouteSharingStore, queue: TaskQueue, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._queue = queue
        self._clock = clock
        self.task = Task(INSERT, self.run)

    async def enqueue(self, request: InsertRequest) -> None:
        """Stores the phones and the task to insert them, both or neither."""
        async with self._database.transaction() as connection:
            request_id = await self._store.insert_request(connection, request, self._clock())
            await self._queue.enqueue(connection, INSERT, request_id)

    async def run(self, request_id: int) -> None:
        """Inserts the phones, in one transaction with the end of the request; so a repeat does nothing.

        Raises:
            TaskRefused: The ride's key is that of another order.
        """
        async with self._database.transaction() as connection:
            request = await self._store.lock_request(connection, request_id)
            if request is None:
                return
            ride = request.ride
            is_free = await self._store.lock_new_or_known(connection, ride, self._clock())
            if is_free:
                await self._store.insert_phones(connection, ride.sharing_key, request.phone_ids, Origin.ORDER)
                await self._store.delete_request(connection, request_id)
            else:
                await self._store.mark_refused(connection, request_id, _REFUSED_BECAUSE)
        if not is_free:
            raise TaskRefused(f"order {ride.order_id}: the sharing key is that of another order")


class DeleteOldRides:
    """Deletes old rides, old requests of `insert_order`, and families that were last used as long ago, every hour.

    Every batch is a short transaction that skips what others have locked; that is left to the next run.
    """

    def __init__(
        self,
        database: Database,
        store: RouteSharingStore,
        families: FollowedFamilyStore,
        kept: Callable[[], timedelta],
        clock: Clock,
        *,
        batch: int = BATCH,
    ) -> None:
        self._database = database
        self._store = store
        self._families = families
        self._kept = kept
        self._clock = clock
        self._batch = batch
        self.task = Task("route_sharing_purge", self.run, schedule="25 * * * *")

    async def run(self, _at: int) -> None:
        before = self._clock() - self._kept()
        rides = await self._delete_all(self._store.delete_old_rides, before)
        requests = await self._delete_all(self._store.delete_old_requests, before)
        # Rides that were shared with such a family since are older than that themselves.
        families = await self._delete_all(self._families.delete_unused, before)
        logger.info("old rides purged", rides=rides, requests=requests, families=families)

    async def _delete_all(self, delete: Delete, before: datetime) -> int:
        return await delete_in_batches(self._database, delete, before, self._batch)
