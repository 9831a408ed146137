"""BatchRetrieveOrders: RetrieveOrder for many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ridehail_clients import AsyncTollRoadsClient, OrderNotFound, OrderRoad, OrderRoads
from tests.support.suite_in_process import SuiteInProcess
from tests.support.toll_roads import put_order, put_orders

T0 = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


async def test_a_thousand_orders_are_returned_in_the_order_of_the_request(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient
) -> None:
    order_ids = await put_orders(suite, 1000, created=T0)
    requested = sorted(order_ids, reverse=True)
    found = await api_proxy.batch_retrieve_orders(order_ids=requested)
    assert found == OrderRoads(tuple(OrderRoad(order_id, True, True, T0) for order_id in requested), ())


async def test_every_requested_order_is_in_exactly_one_list_once(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient
) -> None:
    await put_order(suite, "a", (T0, True), (T0 + timedelta(seconds=1), False))
    await put_order(suite, "b", (T0, True), can_switch_road=False)
    await put_order(suite, "without changes")
    found = await api_proxy.batch_retrieve_orders(
        order_ids=["z", "b", "without changes", "a", "z", "b", "y", "a", "without changes"]
    )
    assert found.orders == (
        OrderRoad("b", True, False, T0),
        OrderRoad("a", False, True, T0 + timedelta(seconds=1)),
    )
    assert found.missing_order_ids == ("z", "without changes", "y")


async def test_an_order_requested_a_thousand_times_is_returned_once(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient
) -> None:
    await put_order(suite, "a", (T0, True))
    assert await api_proxy.batch_retrieve_orders(order_ids=["a"] * 1000) == OrderRoads(
        (OrderRoad("a", True, True, T0),), ()
    )


async def test_a_batch_without_any_known_order_is_no_error(api_proxy: AsyncTollRoadsClient) -> None:
    assert await api_proxy.batch_retrieve_orders(order_ids=["a", "b"]) == OrderRoads((), ("a", "b"))


async def test_a_batch_returns_for_each_order_what_a_single_call_returns(
    suite: SuiteInProcess, api_proxy: AsyncTollRoadsClient
) -> None:
    await put_order(suite, "a", (T0, False))
    await put_order(suite, "b", (T0, True), can_switch_road=False)
    await put_order(suite, "c")
    batch = await api_proxy.batch_retrieve_orders(order_ids=["a", "b", "c"])
    assert batch.orders == tuple([await api_proxy.retrieve_order(order_id=order_id) for order_id in ("a", "b")])
    for order_id in batch.missing_order_ids:
        with pytest.raises(OrderNotFound):
            await api_proxy.retrieve_order(order_id=order_id)
