"""Runs toll_roads and order_core with a fault proxy between them, for switches of the road."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from ridehail_clients import AsyncOrderCoreClient, AsyncTollRoadsClient, JsonInput, JsonObject, OrderRoad
from tests.support.fault_proxy import FaultProxy, Gate, fault_proxy
from tests.support.locks import waiting_for_locks
from tests.support.passengers import Passenger
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.waiting import until

READ, WRITE = "OrderCoreService/GetOrderFields", "OrderCoreService/SetOrderFields"
T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
T1, T2, T3 = (T0 + timedelta(minutes=n) for n in (1, 2, 3))
UID = "4000000001"
ANOTHER_UID = "4000000002"
PRICE: JsonInput = {"price": 1290, "driver_price": 1140.5}
Result = TypeVar("Result")


@dataclass
class SwitchHarness:
    """Both services, the proxy between them, and those who call them."""

    suite: SuiteInProcess
    faults: FaultProxy
    rider: Passenger
    stranger: Passenger
    admin: AsyncOrderCoreClient
    api_proxy: AsyncTollRoadsClient

    async def put_document(self, order_id: str, document: Mapping[str, JsonInput] | None = None) -> None:
        """Stores the document in order_core, by default one with a fixed price."""
        given = {"order": {"fixed_price": PRICE, "status": "driving"}} if document is None else document
        await self.admin.put_order(order_id=order_id, yandex_uid=UID, document=given)

    async def put_order(
        self,
        order_id: str,
        *changes: tuple[datetime, bool],
        can_switch_road: bool = True,
        yandex_uid: str | None = UID,
    ) -> None:
        """Stores the order in toll_roads, with changes of its road."""
        order_created = changes[0][0] if changes else T0
        await self.suite.execute(
            "INSERT INTO toll_roads.orders (order_id, created_at, can_switch_road, yandex_uid) VALUES (%s, %s, %s, %s)",
            order_id,
            order_created,
            can_switch_road,
            yandex_uid,
        )
        for created, has_toll_road in changes:
            await self.suite.execute(
                "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road) VALUES (%s, %s, %s)",
                order_id,
                created,
                has_toll_road,
            )

    async def rows(self, order_id: str) -> list[tuple[object, ...]]:
        """Returns the recorded changes of the road, oldest first."""
        return await self.suite.rows(
            """
            SELECT created_at, has_toll_road FROM toll_roads.log_has_toll_road
            WHERE order_id = %s ORDER BY created_at
            """,
            order_id,
        )

    async def document(self, order_id: str) -> JsonObject:
        """Returns what of the document a reset touches."""
        fields = ["order", "order_info", "changes"]
        return (await self.admin.get_order_fields(order_id=order_id, fields=fields)).fields

    async def processing_events(self, order_id: str) -> int:
        """Returns how often order_core called processing for the order."""
        rows = await self.suite.rows("SELECT 1 FROM order_core.processing_events WHERE order_id = %s", order_id)
        return len(rows)

    async def everything(self, order_id: str) -> object:
        """Returns all that a refused request must leave as it is."""
        return (await self.rows(order_id), await self.document(order_id), await self.processing_events(order_id))

    async def reset(self) -> None:
        """Deletes all orders and faults."""
        await self.suite.empty_tables()
        self.faults.clear()

    async def run_concurrently(self, *calls: Coroutine[Any, Any, Result]) -> list[Result | BaseException]:
        """Runs calls concurrently: one that reads the document is held until another waits for the order, or none can.

        Returns:
            Their results and errors, in the order of the calls.
        """
        gate, tasks = Gate(), [asyncio.create_task(call) for call in calls]
        self.faults.fail(gate, READ)

        async def are_concurrent() -> bool:
            under_way = sum(not task.done() for task in tasks)
            return under_way <= gate.held or bool(await waiting_for_locks(self.suite.database_url))

        await until(are_concurrent)
        gate.open()
        return await asyncio.gather(*tasks, return_exceptions=True)

    async def road(self, order_id: str) -> OrderRoad:
        """Returns the road as other services see it."""
        return await self.api_proxy.retrieve_order(order_id=order_id)


def price_changes(document: JsonObject) -> list[JsonObject]:
    changes = document.get("changes", {})
    assert isinstance(changes, dict)
    objects = changes.get("objects", [])
    assert isinstance(objects, list)
    return [one for one in objects if isinstance(one, dict) and one.get("type") == "taximeter_price"]


def has_price(document: JsonObject) -> bool:
    order = document["order"]
    assert isinstance(order, dict)
    return "price" in (order.get("fixed_price") or {})  # type: ignore[operator]  # an object where there is one


@asynccontextmanager
async def switch_harness(*, database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[SwitchHarness]:
    """Runs both services for the length of the block, with a proxy between them."""
    address: list[str] = []
    async with (
        fault_proxy(lambda: address[0]) as faults,
        suite_in_process(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            services=("toll-roads", "order-core"),
            addresses={"order-core": faults.address},
        ) as suite,
        AsyncOrderCoreClient(suite.address, ticket=suite.ticket("admin")) as admin,
        AsyncTollRoadsClient(suite.address, ticket=suite.ticket("api-proxy")) as api_proxy,
        suite.channel() as channel,
    ):
        address.append(suite.address)
        rider, stranger = Passenger(suite, channel, UID), Passenger(suite, channel, ANOTHER_UID)
        yield SwitchHarness(suite, faults, rider, stranger, admin, api_proxy)
