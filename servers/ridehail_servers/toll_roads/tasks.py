"""The task `toll_roads_order_save`: saves the orders that processing reports."""

from __future__ import annotations

from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.tasks import Task, TaskQueue, TaskRefused

from .order_save import OrderSave, Refusal, check_offer
from .store import TollRoadsStore

TASK = "toll_roads_order_save"

logger = get_logger(__name__)


class OrderSaveTask:
    def __init__(self, database: Database, store: TollRoadsStore, queue: TaskQueue, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._queue = queue
        self._clock = clock
        self.task = Task(TASK, self.run)

    async def enqueue(self, save: OrderSave) -> None:
        """Stores the order and the task to save it, both or neither."""
        async with self._database.transaction() as connection:
            request_id = await self._store.insert_save_request(connection, save, self._clock())
            await self._queue.enqueue(connection, TASK, request_id)

    async def run(self, request_id: int) -> None:
        """Saves the order and its first road, and ends the request in the same transaction; so a repeat does nothing.

        Raises:
            TaskRefused: The order must not be saved.
        """
        async with self._database.transaction() as connection:
            save = await self._store.lock_save_request(connection, request_id)
            if save is None:
                return
            refusal = await self._save(connection, save)
            if refusal is None:
                await self._store.delete_save_request(connection, request_id)
            else:
                await self._store.mark_save_request_refused(connection, request_id, refusal.name)
        if refusal is not None:
            raise TaskRefused(f"order {save.order_id}: {refusal}")

    async def _save(self, connection: Connection, save: OrderSave) -> Refusal | None:
        if await self._store.has_log_row(connection, save.order_id, save.created):
            await self._repeat(connection, save)
            return None
        stored = save.offer_id is not None and bool(await self._store.offers_among(connection, [save.offer_id]))
        if (refusal := check_offer(save, offer_is_stored=stored)) is not None:
            return refusal
        if not await self._store.insert_order(connection, save):
            # A racing run of the same report may have been first; its rows are visible now.
            if await self._store.has_log_row(connection, save.order_id, save.created):
                await self._repeat(connection, save)
                return None
            return Refusal.OTHER_DATA if await self._store.has_order(connection, save.order_id) else Refusal.OFFER_TAKEN
        await self._store.insert_log_row(
            connection, save.order_id, save.created, has_toll_road=save.user_chose_toll_road
        )
        return None

    async def _repeat(self, connection: Connection, save: OrderSave) -> None:
        """Stores nothing of a report that is saved already but the passenger, if the order has none yet."""
        logger.warning("order is saved already", order_id=save.order_id)
        if save.yandex_uid is not None:
            await self._store.fill_passenger(connection, save)
