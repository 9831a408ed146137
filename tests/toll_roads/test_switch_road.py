"""SwitchRoad: who may switch, and what a switch changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import pytest

from ridehail_clients import (
    JsonInput,
    OrderNotFound,
    PriceChangesOutOfOrder,
    RoadSwitchConflict,
    RoadSwitchNotAllowed,
    ServiceError,
)
from tests.support.log_capture import LogCapture
from tests.toll_roads.switch_harness import (
    ANOTHER_UID,
    PRICE,
    T0,
    T1,
    T2,
    T3,
    UID,
    SwitchHarness,
    has_price,
    price_changes,
)


def text(created: datetime) -> str:
    return created.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@asynccontextmanager
async def refused(
    harness: SwitchHarness, error: type[ServiceError], order_id: str
) -> AsyncIterator[pytest.ExceptionInfo[ServiceError]]:
    """Asserts that the block raises an error and changes nothing of the order."""
    before = await harness.everything(order_id)
    with pytest.raises(error) as caught:
        yield caught
    assert await harness.everything(order_id) == before


# --- refusals, which change nothing


async def test_an_unknown_order_is_not_found(harness: SwitchHarness) -> None:
    with pytest.raises(OrderNotFound) as caught:
        await harness.rider.switch_road("order", T1, has_toll_road=False)
    assert caught.value.metadata == {"order_id": "order"}
    assert not harness.faults.calls


async def test_another_passengers_order_is_not_found(harness: SwitchHarness, toll_order: str) -> None:
    async with refused(harness, OrderNotFound, toll_order):
        await harness.stranger.switch_road(toll_order, T1, has_toll_road=False)


async def test_an_order_without_a_passenger_is_not_found(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, True), yandex_uid=None)
    await harness.put_document("order")
    async with refused(harness, OrderNotFound, "order"):
        await harness.rider.switch_road("order", T1, has_toll_road=False)


async def test_an_order_that_cannot_be_switched_is_refused(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, True), can_switch_road=False)
    await harness.put_document("order")
    async with refused(harness, RoadSwitchNotAllowed, "order"):
        await harness.rider.switch_road("order", T1, has_toll_road=False)


async def test_the_passenger_is_checked_before_whether_the_road_can_be_switched(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, True), can_switch_road=False)
    with pytest.raises(OrderNotFound):
        await harness.stranger.switch_road("order", T1, has_toll_road=False)


async def test_an_order_without_a_road_is_not_found(harness: SwitchHarness) -> None:
    await harness.put_order("order")
    with pytest.raises(OrderNotFound):
        await harness.rider.switch_road("order", T1, has_toll_road=False)


async def test_an_order_that_cannot_be_switched_is_refused_even_without_a_road(harness: SwitchHarness) -> None:
    await harness.put_order("order", can_switch_road=False)
    with pytest.raises(RoadSwitchNotAllowed):
        await harness.rider.switch_road("order", T1, has_toll_road=False)


async def test_the_opposite_switch_with_the_same_created_is_a_conflict(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, True), (T1, True))
    await harness.put_document("order")
    async with refused(harness, RoadSwitchConflict, "order"):
        await harness.rider.switch_road("order", T1, has_toll_road=False)


async def test_a_switch_to_the_other_road_with_the_created_of_the_order_is_a_conflict(
    harness: SwitchHarness, toll_order: str
) -> None:
    async with refused(harness, RoadSwitchConflict, toll_order):
        await harness.rider.switch_road(toll_order, T0, has_toll_road=False)


async def test_an_order_that_order_core_does_not_know_is_not_found(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, True))
    with pytest.raises(OrderNotFound):
        await harness.rider.switch_road("order", T1, has_toll_road=False)
    assert await harness.rows("order") == [(T0, True)]


# --- what a switch changes


async def test_a_switch_to_the_free_road_resets_the_price_and_becomes_the_road(
    harness: SwitchHarness, toll_order: str
) -> None:
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    road = await harness.road(toll_order)
    assert (road.has_toll_road, road.created) == (False, T1)
    assert await harness.rows(toll_order) == [(T0, True), (T1, False)]
    document = await harness.document(toll_order)
    initial, reset = price_changes(document)
    assert initial.pop("id") != reset.pop("id")
    assert initial == {"type": "taximeter_price", "created": text(T0), "value": False}
    assert reset == {"type": "taximeter_price", "created": text(T1), "value": True}
    assert document["order"] == {"fixed_price": {}, "status": "driving", "version": 2}
    assert document["order_info"] == {
        "need_sync": True,
        "statistics": {"status_updates": [{"c": text(T1), "q": "taximeter_price"}]},
    }
    assert await harness.processing_events(toll_order) == 1


async def test_the_rest_of_the_document_stays(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, True))
    other: JsonInput = {"type": "destination", "created": "never"}
    document: dict[str, JsonInput] = {
        "order": {"fixed_price": {**PRICE, "paid": True}, "version": 7},  # type: ignore[dict-item]
        "order_info": {"need_sync": False, "statistics": {"status_updates": [{"s": "driving"}]}},
        "changes": {"objects": [other]},
    }
    await harness.put_document("order", document)
    await harness.rider.switch_road("order", T1, has_toll_road=False)
    after = await harness.document("order")
    assert after["order"] == {"fixed_price": {"paid": True}, "version": 8}
    assert after["changes"]["objects"][0] == other  # type: ignore[index, call-overload]
    assert len(price_changes(after)) == 2
    assert after["order_info"]["statistics"]["status_updates"][0] == {"s": "driving"}  # type: ignore[index, call-overload]


async def test_a_repeat_changes_nothing(harness: SwitchHarness, toll_order: str) -> None:
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    before = await harness.everything(toll_order)
    harness.faults.clear()
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    assert await harness.everything(toll_order) == before
    assert not harness.faults.calls


async def test_a_switch_to_the_toll_road_leaves_the_price(harness: SwitchHarness, toll_order: str) -> None:
    before = await harness.document(toll_order)
    await harness.rider.switch_road(toll_order, T1, has_toll_road=True)
    assert await harness.document(toll_order) == before
    assert await harness.rows(toll_order) == [(T0, True), (T1, True)]
    assert not harness.faults.calls


async def test_an_order_that_began_on_the_free_road_keeps_its_price(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, False), (T1, True))
    await harness.put_document("order")
    before = await harness.document("order")
    await harness.rider.switch_road("order", T2, has_toll_road=False)
    assert await harness.document("order") == before
    assert (await harness.road("order")).created == T2


async def test_a_late_switch_is_recorded_without_becoming_the_road_or_resetting_the_price(
    harness: SwitchHarness,
) -> None:
    await harness.put_order("order", (T0, True), (T2, True))
    await harness.put_document("order")
    before = await harness.document("order")
    await harness.rider.switch_road("order", T1, has_toll_road=False)
    assert await harness.document("order") == before
    assert await harness.rows("order") == [(T0, True), (T1, False), (T2, True)]
    assert (await harness.road("order")).created == T2


async def test_a_late_switch_before_the_order_itself_is_recorded(harness: SwitchHarness, toll_order: str) -> None:
    await harness.rider.switch_road(toll_order, T0 - timedelta(seconds=1), has_toll_road=False)
    assert has_price(await harness.document(toll_order))
    assert (await harness.road(toll_order)).has_toll_road


async def test_a_late_switch_before_the_order_itself_does_not_save_the_price(
    harness: SwitchHarness, toll_order: str
) -> None:
    await harness.rider.switch_road(toll_order, T0 - timedelta(seconds=1), has_toll_road=False)
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    document = await harness.document(toll_order)
    assert not has_price(document)
    assert [change["created"] for change in price_changes(document)] == [text(T0), text(T1)]


async def test_the_price_is_reset_once_for_all_switches(harness: SwitchHarness, toll_order: str) -> None:
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    await harness.rider.switch_road(toll_order, T2, has_toll_road=True)
    await harness.rider.switch_road(toll_order, T3, has_toll_road=False)
    assert len(price_changes(await harness.document(toll_order))) == 2
    assert await harness.processing_events(toll_order) == 1
    assert len(await harness.rows(toll_order)) == 4


async def test_a_price_that_is_fixed_again_is_reset_again(harness: SwitchHarness, toll_order: str) -> None:
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    await harness.rider.switch_road(toll_order, T2, has_toll_road=True)
    await harness.admin.set_order_fields(order_id=toll_order, set={"order.fixed_price": PRICE})
    await harness.rider.switch_road(toll_order, T3, has_toll_road=False)
    document = await harness.document(toll_order)
    assert [change["created"] for change in price_changes(document)] == [text(T0), text(T1), text(T3)]
    assert not has_price(document)


@pytest.mark.parametrize("order", [{}, {"fixed_price": {}}, {"fixed_price": {"price": None, "driver_price": 1}}])
async def test_an_order_without_a_fixed_price_is_only_recorded(harness: SwitchHarness, order: JsonInput) -> None:
    await harness.put_order("order", (T0, True))
    await harness.put_document("order", {"order": order})
    before = await harness.document("order")
    await harness.rider.switch_road("order", T1, has_toll_road=False)
    assert await harness.document("order") == before
    assert (await harness.road("order")).created == T1
    assert await harness.processing_events("order") == 0


async def test_a_price_of_zero_is_a_price(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, True))
    await harness.put_document("order", {"order": {"fixed_price": {"price": 0}}})
    await harness.rider.switch_road("order", T1, has_toll_road=False)
    assert not has_price(await harness.document("order"))


async def test_switches_a_microsecond_apart_are_different(harness: SwitchHarness, toll_order: str) -> None:
    later = T1 + timedelta(microseconds=1)
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    await harness.rider.switch_road(toll_order, later, has_toll_road=True)
    assert (await harness.road(toll_order)).created == later


# --- the record of price changes


@pytest.mark.parametrize(
    "created", [text(T1), text(T2), "2026-11-20T12:01:00+00:00", "soon", None, "2026-11-20T10:00:00"]
)
async def test_a_reset_out_of_order_is_refused(harness: SwitchHarness, created: JsonInput) -> None:
    await harness.put_order("order", (T0, True))
    change: JsonInput = {"id": "other", "type": "taximeter_price", "created": created, "value": True}
    await harness.put_document("order", {"order": {"fixed_price": PRICE}, "changes": {"objects": [change]}})
    async with refused(harness, PriceChangesOutOfOrder, "order"):
        await harness.rider.switch_road("order", T1, has_toll_road=False)


async def test_a_recorded_change_makes_the_initial_one_unnecessary(harness: SwitchHarness) -> None:
    await harness.put_order("order", (T0, True))
    change: JsonInput = {"id": "other", "type": "taximeter_price", "created": text(T0), "value": False}
    await harness.put_document("order", {"order": {"fixed_price": PRICE}, "changes": {"objects": [change]}})
    await harness.rider.switch_road("order", T1, has_toll_road=False)
    assert [one["created"] for one in price_changes(await harness.document("order"))] == [text(T0), text(T1)]


@pytest.mark.parametrize("changes", ["none", {"objects": {}}])
async def test_a_document_that_breaks_its_contract_is_reported_as_a_defect(
    harness: SwitchHarness, changes: JsonInput
) -> None:
    await harness.put_order("order", (T0, True))
    await harness.put_document("order", {"order": {"fixed_price": PRICE}, "changes": changes})
    async with refused(harness, ServiceError, "order") as caught:
        await harness.rider.switch_road("order", T1, has_toll_road=False)
    assert caught.value.reason == "INTERNAL"


# --- logs


async def test_no_passenger_is_logged(harness: SwitchHarness, toll_order: str, log: LogCapture) -> None:
    await harness.rider.switch_road(toll_order, T1, has_toll_road=False)
    with pytest.raises(OrderNotFound):
        await harness.stranger.switch_road(toll_order, T2, has_toll_road=False)
    written = log.text
    assert UID not in written
    assert ANOTHER_UID not in written
