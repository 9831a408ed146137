"""The clients of toll roads against the real service: shared batches, outages, many concurrent calls."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

import pytest

from ridehail_clients import (
    AsyncTollRoadsClient,
    CallerNotAllowed,
    InvalidRequest,
    OrderNotFound,
    OrderRoad,
    ServiceError,
)
from tests.clients.flavours import Flavour, Opened
from tests.support.suite_in_process import SuiteInProcess
from tests.support.toll_roads import put_order, put_orders
from tests.toll_roads.client.scripted_toll_roads import NOON
from tests.toll_roads.client.shared_callers import CLIENT, COALESCING, retrieve

KNOWN = OrderRoad("order", has_toll_road=True, can_switch_road=True, created=NOON)
BAD_IDS = ["", "x" * 129, "tab\t", "line\n", "\x00", "\u200b"]


async def test_a_missing_order_fails_only_its_caller_with_the_error_of_a_single_call(
    suite: SuiteInProcess, flavour: Flavour
) -> None:
    await put_order(suite, "known", (NOON, True))
    ticket = suite.ticket("api-proxy")
    async with flavour.opened(suite.address, CLIENT, ticket=ticket, attempt_timeout=60) as opened:
        [alone] = await retrieve(opened, ["unknown"])
    async with flavour.opened(suite.address, CLIENT, ticket=ticket, **COALESCING) as opened:
        known, *unknown = await retrieve(opened, ["known", "unknown", "unknown", "another"])

    assert isinstance(known, OrderRoad)
    assert all(type(error) is type(alone) is OrderNotFound for error in unknown)
    errors = [(error.code, error.reason, error.message, dict(error.metadata)) for error in (alone, *unknown)]
    assert errors[:3] == [errors[0]] * 3
    assert errors[3][3] == {"order_id": "another"}
    assert unknown[0] is not unknown[1]


async def test_an_invalid_id_fails_only_its_caller(suite: SuiteInProcess, flavour: Flavour) -> None:
    await put_order(suite, "known", (NOON, True))
    async with flavour.opened(suite.address, CLIENT, ticket=suite.ticket("api-proxy"), **COALESCING) as opened:
        for bad in BAD_IDS:
            results = await retrieve(opened, ["known", bad, "known", bad])

            assert [type(result) for result in results] == [OrderRoad, InvalidRequest, OrderRoad, InvalidRequest], bad
            assert [violation.field for violation in results[1].violations] == ["order_id"]


async def test_offers_are_saved_refused_and_not_saved(suite: SuiteInProcess) -> None:
    async with AsyncTollRoadsClient(suite.address, ticket=suite.ticket("routestats"), attempt_timeout=60) as routestats:
        assert await routestats.save_offer(offer_id="offer", timeout=60) is True
        with pytest.raises(InvalidRequest):
            await routestats.save_offer(offer_id="", timeout=60)
        away = ("ALTER TABLE toll_roads.offers RENAME TO away", "ALTER TABLE toll_roads.away RENAME TO offers")
        async with suite.altered(*away):
            assert await routestats.save_offer(offer_id="another", timeout=60) is False
    async with AsyncTollRoadsClient(suite.address, ticket=suite.ticket("api-proxy"), attempt_timeout=60) as api_proxy:
        with pytest.raises(CallerNotAllowed):
            await api_proxy.save_offer(offer_id="offer", timeout=60)


@pytest.mark.parametrize("coalesce", [False, True], ids=["alone", "shared"])
async def test_the_last_road_is_returned_while_the_service_is_broken(suite: SuiteInProcess, coalesce: bool) -> None:
    await put_order(suite, "order", (NOON, True))
    cache: dict[str, OrderRoad] = {}
    async with AsyncTollRoadsClient(
        suite.address, ticket=suite.ticket("api-proxy"), attempt_timeout=60, coalesce=coalesce
    ) as client:
        assert await client.retrieve_order(order_id="order", fallback=cache, timeout=60) == KNOWN
        away = ("ALTER TABLE toll_roads.orders RENAME TO away", "ALTER TABLE toll_roads.away RENAME TO orders")
        async with suite.altered(*away):
            shown = await client.retrieve_order(order_id="order", fallback=cache, timeout=60)
            assert shown == replace(KNOWN, stale=True)
            with pytest.raises(ServiceError):
                await client.retrieve_order(order_id="unknown", fallback=cache, timeout=60)
        assert await client.retrieve_order(order_id="order", fallback=cache, timeout=60) == KNOWN


async def test_two_thousand_callers_at_once_each_get_their_own_order(suite: SuiteInProcess) -> None:
    known = await put_orders(suite, 1000, created=NOON)
    chance = random.Random(2)
    requested = [f"order-{chance.randrange(1, 1500)}" for _ in range(2000)]
    async with AsyncTollRoadsClient(suite.address, ticket=suite.ticket("api-proxy"), **COALESCING) as client:
        results = await retrieve(Opened(client, None), requested)

    found = {*known}
    for order_id, result in zip(requested, results, strict=True):
        if order_id in found:
            assert result.order_id == order_id
        else:
            assert isinstance(result, OrderNotFound)
            assert result.metadata == {"order_id": order_id}


async def test_many_cancellations_leave_the_others_their_results(suite: SuiteInProcess) -> None:
    await put_orders(suite, 1000, created=NOON)
    chance = random.Random(3)
    async with AsyncTollRoadsClient(suite.address, ticket=suite.ticket("api-proxy"), **COALESCING) as client:
        for _storm in range(3):
            requested = [f"order-{chance.randrange(1, 1001)}" for _ in range(300)]
            calls = [
                asyncio.create_task(client.retrieve_order(order_id=order_id, timeout=60)) for order_id in requested
            ]
            unlucky = {number for number in range(300) if chance.random() < 0.7}
            for number in unlucky:
                if chance.random() < 0.1:
                    await asyncio.sleep(0)
                calls[number].cancel()
            results = await asyncio.gather(*calls, return_exceptions=True)
            for number, (order_id, result) in enumerate(zip(requested, results, strict=True)):
                if isinstance(result, asyncio.CancelledError):
                    assert number in unlucky
                else:
                    assert isinstance(result, OrderRoad)
                    assert result.order_id == order_id
        assert (await client.retrieve_order(order_id="order-1", timeout=60)).order_id == "order-1"
