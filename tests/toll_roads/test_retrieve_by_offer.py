"""The first stage: roads by the orders' offers, which order_core knows."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

from ridehail_clients import (
    AsyncOrderCoreClient,
    AsyncTollRoadsClient,
    JsonInput,
    NeighbourUnavailable,
    OrderNotFound,
    OrderRoad,
    OrderRoads,
    RetryPolicy,
    ServiceError,
)
from tests.support.config_edits import edit
from tests.support.log_capture import LogCapture
from tests.support.suite_in_process import SuiteInProcess, suite_in_process
from tests.support.toll_roads import put_order
from tests.support.waiting import LIMIT_S, until

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


class Callers(NamedTuple):
    """Who uses the two services."""

    admin: AsyncOrderCoreClient
    routestats: AsyncTollRoadsClient
    api_proxy: AsyncTollRoadsClient

    async def put(self, order_id: str, document: JsonInput) -> None:
        await self.admin.put_order(order_id=order_id, yandex_uid="uid", document=document)  # type: ignore[arg-type]


def with_offer(offer: JsonInput) -> JsonInput:
    return {"order": {"request": {"offer": offer}}}


def by_offer(config_dir: Path) -> None:
    edit(config_dir / "toll_roads.yaml", {"retrieve_by": "offer"})


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return ("toll-roads", "order-core")


@pytest.fixture(scope="module")
def module_config_dir(module_config_dir: Path) -> Path:
    by_offer(module_config_dir)
    return module_config_dir


@pytest.fixture(scope="module")
async def module_callers(module_suite: SuiteInProcess) -> AsyncIterator[Callers]:
    address, ticket = module_suite.address, module_suite.ticket
    async with (
        AsyncOrderCoreClient(address, ticket=ticket("admin"), attempt_timeout=LIMIT_S) as admin,
        AsyncTollRoadsClient(address, ticket=ticket("routestats"), attempt_timeout=LIMIT_S) as routestats,
        AsyncTollRoadsClient(address, ticket=ticket("api-proxy"), attempt_timeout=LIMIT_S) as api_proxy,
    ):
        yield Callers(admin, routestats, api_proxy)


@pytest.fixture
async def callers(suite: SuiteInProcess, module_callers: Callers) -> Callers:
    """Callers of services that have nothing stored."""
    return module_callers


@pytest.fixture
def edited(module_suite: SuiteInProcess) -> Iterator[Path]:
    """The configuration, which the test may edit: it is put back in the end."""
    folder = module_suite.settings.config_dir
    texts = {file: file.read_text() for file in folder.iterdir()}
    yield folder
    for file, text in texts.items():
        file.write_text(text)


# --- which road


async def test_an_order_of_a_stored_offer_uses_the_toll_road(callers: Callers) -> None:
    assert await callers.routestats.save_offer(offer_id="offer")
    await callers.put("order", with_offer("offer"))
    assert await callers.api_proxy.retrieve_order(order_id="order") == OrderRoad("order", True, False, None)


async def test_an_order_of_another_offer_uses_the_free_road(callers: Callers) -> None:
    assert await callers.routestats.save_offer(offer_id="another")
    await callers.put("order", with_offer("offer"))
    assert await callers.api_proxy.retrieve_order(order_id="order") == OrderRoad("order", False, False, None)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"order": {}},
        {"order": {"request": "offer"}},
        with_offer(None),
        with_offer(""),
        with_offer(1),
        with_offer({}),
    ],
)
async def test_an_order_without_offer_uses_the_free_road(callers: Callers, document: JsonInput) -> None:
    assert await callers.routestats.save_offer(offer_id="offer")
    await callers.put("order", document)
    assert await callers.api_proxy.retrieve_order(order_id="order") == OrderRoad("order", False, False, None)


async def test_an_order_that_order_core_does_not_know_is_not_found(suite: SuiteInProcess, callers: Callers) -> None:
    await put_order(suite, "order", (T0, True))  # known here, which does not count at this stage
    with pytest.raises(OrderNotFound) as caught:
        await callers.api_proxy.retrieve_order(order_id="order")
    assert caught.value.metadata == {"order_id": "order"}


async def test_a_batch_returns_the_same(callers: Callers) -> None:
    assert await callers.routestats.save_offer(offer_id="offer")
    await callers.put("toll", with_offer("offer"))
    await callers.put("free", with_offer("other"))
    await callers.put("plain", {})
    assert await callers.api_proxy.batch_retrieve_orders(
        order_ids=["unknown", "free", "toll", "plain", "toll"]
    ) == OrderRoads(
        (
            OrderRoad("free", False, False, None),
            OrderRoad("toll", True, False, None),
            OrderRoad("plain", False, False, None),
        ),
        ("unknown",),
    )


async def test_a_large_batch_completes_within_its_deadline(callers: Callers) -> None:
    await callers.put("order", with_offer("offer"))
    order_ids = ["order", *(f"unknown-{n}" for n in range(199))]
    results: list[OrderRoads] = []

    async def is_found() -> bool:
        # Each time within the contract's deadline; a machine that is busy just now may need another.
        try:
            results.append(await callers.api_proxy.batch_retrieve_orders(order_ids=order_ids))
        except ServiceError as error:
            assert error.reason in {"NEIGHBOUR_UNAVAILABLE", "DEADLINE_EXCEEDED"}  # noqa: PT017
            return False
        return True

    await until(is_found)
    (found,) = results
    assert len(found.orders) == 1
    assert len(found.missing_order_ids) == 199


# --- the switch between the stages


async def test_the_stage_is_switched_without_a_restart(suite: SuiteInProcess, callers: Callers, edited: Path) -> None:
    assert await callers.routestats.save_offer(offer_id="offer")
    await callers.put("order", with_offer("offer"))
    await put_order(suite, "order", (T0, False))

    async def road() -> OrderRoad:
        return await callers.api_proxy.retrieve_order(order_id="order")

    assert await road() == OrderRoad("order", True, False, None)

    async def is_by_order() -> bool:
        return await road() == OrderRoad("order", False, True, T0)

    async def is_by_offer() -> bool:
        return await road() == OrderRoad("order", True, False, None)

    edit(edited / "toll_roads.yaml", {"retrieve_by": "order"})
    await until(is_by_order)
    by_offer(edited)
    await until(is_by_offer)


async def test_a_misspelt_stage_keeps_the_old_one(callers: Callers, edited: Path, log: LogCapture) -> None:
    await callers.put("order", {})
    edit(edited / "toll_roads.yaml", {"retrieve_by": "ofer"})
    await until(lambda: log.events("configuration refused"))
    assert await callers.api_proxy.retrieve_order(order_id="order") == OrderRoad("order", False, False, None)


# --- order_core is out of reach


@pytest.fixture
def closed_port() -> Iterator[str]:
    """An address without a listener."""
    with closing(socket.socket()) as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{reserved.getsockname()[1]}"


@pytest.fixture
def silent_port() -> Iterator[str]:
    """An address that accepts connections and never responds."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.parametrize("order_core", ["closed_port", "silent_port"])
async def test_an_unavailable_order_core_is_named_in_the_error(
    module_database_url: str, keys_dir: Path, config_dir: Path, order_core: str, request: pytest.FixtureRequest
) -> None:
    by_offer(config_dir)
    async with suite_in_process(
        database_url=module_database_url,
        keys_dir=keys_dir,
        config_dir=config_dir,
        services=("toll-roads",),
        addresses={"order-core": request.getfixturevalue(order_core)},
    ) as alone:
        ticket = alone.ticket("api-proxy")
        once = RetryPolicy(attempts=1)
        async with AsyncTollRoadsClient(alone.address, ticket=ticket, retry=once, attempt_timeout=10) as api_proxy:
            single = await failure(api_proxy.retrieve_order(order_id="order", timeout=5))
            batch = await failure(api_proxy.batch_retrieve_orders(order_ids=[str(n) for n in range(1000)], timeout=5))
    for error in (single, batch):
        assert isinstance(error, NeighbourUnavailable)
        assert error.code is grpc.StatusCode.UNAVAILABLE
        assert error.metadata == {"neighbour": "order-core"}
        assert error.retry_after


async def failure(call: object) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def test_a_refusal_by_order_core_is_not_taken_for_an_unknown_order(callers: Callers, edited: Path) -> None:
    file = edited / "access.yaml"
    before, get_order_fields = file.read_text(), "ridehail.ordercore.v1.OrderCoreService/GetOrderFields"
    edit(file, {"methods": {get_order_fields: ["admin"]}})
    await callers.put("order", {})

    async def is_refused() -> bool:
        try:
            await callers.api_proxy.retrieve_order(order_id="order")
        except NeighbourUnavailable:
            return True
        return False

    async def is_found() -> bool:
        return not await is_refused()

    await until(is_refused)
    file.write_text(before)
    await until(is_found)


async def test_cancelled_lookups_do_not_affect_the_others(callers: Callers) -> None:
    await callers.put("order", {})
    lookups = [
        asyncio.create_task(callers.api_proxy.retrieve_order(order_id="order", timeout=LIMIT_S)) for _ in range(20)
    ]
    await asyncio.sleep(0)
    for lookup in lookups[::2]:
        lookup.cancel()
    assert await asyncio.gather(*lookups[1::2]) == [OrderRoad("order", False, False, None)] * 10
