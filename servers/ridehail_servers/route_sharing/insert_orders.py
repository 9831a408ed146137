"""The task `insert_order`: inserts the phones that orders are shared with."""

from __future__ import annotations

from typing import Final

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.tasks import Task, TaskQueue, TaskRefused

from .insert_order import InsertOrder
from .insert_order_store import InsertOrderStore
from .ride import Origin
from .store import RouteSharingStore

TASK: Final = "insert_order"
_REFUSED_BECAUSE: Final = "SHARING_KEY_CONFLICT"


class InsertOrders:
    """Takes orders' phones, and inserts them."""

    def __init__(
        self,
        database: Database,
        store: RouteSharingStore,
        requests: InsertOrderStore,
        queue: TaskQueue,
        clock: Clock,
    ) -> None:
        """Takes what it works with.

        Args:
            database: Of the service.
            store: The statements about rides.
            requests: The statements about what is yet to be inserted.
            queue: Of the service.
            clock: Tells when a request came and a ride was first heard of.
        """
        self._database = database
        self._store = store
        self._requests = requests
        self._queue = queue
        self._clock = clock
        self.task = Task(TASK, self.run)

    async def enqueue(self, insert: InsertOrder) -> None:
        """Stores the phones and the task to insert them, both or neither.

        Args:
            insert: The phones and their ride.
        """
        async with self._database.transaction() as connection:
            request_id = await self._requests.insert_request(connection, insert, self._clock())
            await self._queue.enqueue(connection, TASK, request_id)

    async def run(self, request_id: int) -> None:
        """Inserts the phones, in one transaction with the end of the request; so a repeat does nothing.

        Args:
            request_id: Of `enqueue`.

        Raises:
            TaskRefused: The ride's key is that of another order.
        """
        async with self._database.transaction() as connection:
            insert = await self._requests.lock_request(connection, request_id)
            if insert is None:
                return
            ride = insert.ride
            is_free = await self._store.lock_new_or_known(connection, ride, self._clock())
            if is_free:
                await self._store.insert_phones(connection, ride.sharing_key, insert.phone_ids, Origin.ORDER)
                await self._requests.delete_request(connection, request_id)
            else:
                await self._requests.mark_refused(connection, request_id, _REFUSED_BECAUSE)
        if not is_free:
            raise TaskRefused(f"order {ride.order_id}: the sharing key is that of another order")
