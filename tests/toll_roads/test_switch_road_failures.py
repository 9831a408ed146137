"""SwitchRoad while order_core fails or others switch: the price is reset once, and a failed switch can be repeated."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import psycopg
import pytest

from ridehail_clients import (
    NeighbourUnavailable,
    RoadSwitchConflict,
    ServiceError,
)
from tests.support.fault_proxy import Fault, Forward, down, hanging, lost_response, passing
from tests.support.waiting import until
from tests.toll_roads.switch_harness import (
    PRICE,
    READ,
    T0,
    T1,
    WRITE,
    SwitchHarness,
    has_price,
    price_changes,
)


async def is_switched(harness: SwitchHarness, order_id: str) -> bool:
    """Switches to the free road; false while the breaker of a method that hung is still open."""
    try:
        await harness.rider.switch_road(order_id, T1, has_toll_road=False)
    except NeighbourUnavailable:
        return False
    return True


def lose_the_first_reset(harness: SwitchHarness) -> None:
    """Loses the response of the next write, and every other call but the read before it."""
    harness.faults.fail(down)
    harness.faults.fail(passing, READ, times=1)
    harness.faults.fail(lost_response, WRITE, times=1)


@pytest.mark.parametrize("method", [READ, WRITE])
async def test_a_transient_failure_is_retried(harness: SwitchHarness, toll_order: str, method: str) -> None:
    harness.faults.fail(down, method, times=1)
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    assert len(price_changes(await harness.document(toll_order))) == 2
    assert await harness.processing_events(toll_order) == 1


async def test_a_lost_response_does_not_reset_twice(harness: SwitchHarness, toll_order: str) -> None:
    harness.faults.fail(lost_response, WRITE, times=1)
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    assert len(price_changes(await harness.document(toll_order))) == 2
    assert await harness.processing_events(toll_order) == 1
    assert (await harness.road(toll_order)).created == T1


async def test_a_concurrent_write_makes_the_reset_decide_again(harness: SwitchHarness, toll_order: str) -> None:
    async def overtaken(forward: Forward) -> bytes:
        await harness.admin.set_order_fields(order_id=toll_order, set={"order.status": "transporting"})
        return await forward()

    harness.faults.fail(overtaken, WRITE, times=1)
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    document = await harness.document(toll_order)
    assert document["order"]["status"] == "transporting"  # type: ignore[index, call-overload]
    assert harness.faults.called == [READ, WRITE, READ, WRITE]
    assert len(price_changes(document)) == 2


async def test_a_concurrent_write_that_removes_the_price_leaves_nothing_to_reset(
    harness: SwitchHarness, toll_order: str
) -> None:
    async def overtaken(forward: Forward) -> bytes:
        await harness.admin.set_order_fields(order_id=toll_order, unset=["order.fixed_price"])
        return await forward()

    harness.faults.fail(overtaken, WRITE, times=1)
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    assert not price_changes(await harness.document(toll_order))
    assert (await harness.road(toll_order)).created == T1


async def test_endless_concurrent_writes_fail_the_switch_and_nothing_is_saved(
    harness: SwitchHarness, toll_order: str
) -> None:
    async def overtaken(forward: Forward) -> bytes:
        await harness.admin.set_order_fields(order_id=toll_order, set={"order.status": "transporting"})
        return await forward()

    harness.faults.fail(overtaken, WRITE)
    with pytest.raises(NeighbourUnavailable) as caught:
        await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    assert caught.value.retry_after
    assert await harness.rows(toll_order) == [(T0, True)]
    assert has_price(await harness.document(toll_order))


@pytest.mark.parametrize("method", [READ, WRITE])
@pytest.mark.parametrize("fault", [down, hanging])
async def test_without_order_core_nothing_is_saved_and_a_repeat_succeeds(
    harness: SwitchHarness, toll_order: str, method: str, fault: Fault
) -> None:
    before = await harness.everything(toll_order)
    harness.faults.fail(fault, method)
    with pytest.raises(NeighbourUnavailable) as caught:
        await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    assert caught.value.retry_after
    assert caught.value.metadata == {"neighbour": "order-core"}
    assert await harness.everything(toll_order) == before
    harness.faults.clear()
    await until(lambda: is_switched(harness, toll_order))
    assert len(price_changes(await harness.document(toll_order))) == 2
    assert await harness.processing_events(toll_order) == 1


async def test_a_repeat_detects_a_reset_whose_response_was_lost(harness: SwitchHarness, toll_order: str) -> None:
    lose_the_first_reset(harness)
    with pytest.raises(NeighbourUnavailable):
        await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    assert await harness.rows(toll_order) == [(T0, True)]
    harness.faults.clear()
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    assert len(price_changes(await harness.document(toll_order))) == 2
    assert await harness.processing_events(toll_order) == 1
    assert (await harness.road(toll_order)).created == T1


async def test_a_price_fixed_after_the_reset_is_not_reset_by_its_repeat(
    harness: SwitchHarness, toll_order: str
) -> None:
    lose_the_first_reset(harness)
    with pytest.raises(NeighbourUnavailable):
        await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    harness.faults.clear()
    await harness.admin.set_order_fields(order_id=toll_order, set={"order.fixed_price": PRICE})
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    document = await harness.document(toll_order)
    assert has_price(document)
    assert len(price_changes(document)) == 2


async def test_a_hanging_order_core_delays_resets_only(harness: SwitchHarness) -> None:
    harness.faults.fail(hanging, READ)
    for n in range(12):
        await harness.put_order(f"stuck-{n}", (T0, True))
    await harness.put_order("order", (T0, True))
    stuck = [
        asyncio.ensure_future(harness.rider.switch_road(f"stuck-{n}", T1, has_toll_road=False, timeout=3))
        for n in range(12)
    ]
    await until(lambda: harness.faults.calls)
    for n in range(10):
        await harness.rider.switch_road("order", T1 + timedelta(seconds=n), has_toll_road=True, timeout=20)
        assert (await harness.road("order")).created == T1 + timedelta(seconds=n)
    failures = await asyncio.gather(*stuck, return_exceptions=True)
    reasons = [getattr(failure, "reason", failure) for failure in failures]
    assert "NEIGHBOUR_UNAVAILABLE" in reasons
    assert set(reasons) <= {"NEIGHBOUR_UNAVAILABLE", "OVERLOADED"}
    harness.faults.clear()
    await harness.put_document("stuck-0")
    await until(lambda: is_switched(harness, "stuck-0"))


# --- concurrent switches


async def test_concurrent_repeats_of_a_switch_are_one_switch(harness: SwitchHarness, toll_order: str) -> None:
    results = await harness.run_concurrently(
        *(harness.rider.switch_road(toll_order, T1, has_toll_road=False) for _ in range(4))
    )
    assert results == [None] * 4
    assert await harness.rows(toll_order) == [(T0, True), (T1, False)]
    assert len(price_changes(await harness.document(toll_order))) == 2
    assert await harness.processing_events(toll_order) == 1


async def test_one_of_two_opposite_switches_with_the_same_created_is_refused(
    harness: SwitchHarness, toll_order: str
) -> None:
    results = await harness.run_concurrently(
        harness.rider.switch_road(toll_order, T1, has_toll_road=False),
        harness.rider.switch_road(toll_order, T1, has_toll_road=True),
    )
    refused = [result for result in results if result is not None]
    assert [type(result) for result in refused] == [RoadSwitchConflict]
    to_free = results[0] is None
    assert has_price(await harness.document(toll_order)) is not to_free
    assert await harness.rows(toll_order) == [(T0, True), (T1, not to_free)]


async def test_a_switch_waits_only_for_switches_of_its_order(harness: SwitchHarness, toll_order: str) -> None:
    await harness.put_order("another", (T0, True))
    async with await psycopg.AsyncConnection.connect(harness.suite.database_url) as connection:
        await connection.execute("SELECT 1 FROM toll_roads.orders WHERE order_id = %s FOR NO KEY UPDATE", (toll_order,))
        with pytest.raises(ServiceError) as caught:
            await harness.rider.switch_road(toll_order, T1, has_toll_road=True, timeout=20)
        assert caught.value.reason == "DATABASE_UNAVAILABLE"
        await harness.rider.switch_road("another", T1, has_toll_road=True, timeout=20)
    await harness.rider.switch_road(toll_order, T1, has_toll_road=True)
