"""Polls and fetches that overlap, end in any order, or are cancelled."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from ridehail_clients import (
    AsyncOrderPoller,
    AsyncPassengerOrderStateClient,
    KnownOrder,
    OrderPoller,
    OrdersState,
    PassengerOrderStateClient,
    PollingPolicy,
    TransportUnavailable,
)
from tests.order_state.order_state_by_model import Order, OrderStateByModel
from tests.order_state.polling_app import STALE, launched, order_state, response


class Held:
    """Polls and fetches that wait until the test lets them go on."""

    def __init__(self) -> None:
        self.calls: list[asyncio.Future[Any]] = []

    async def poll(self, *, known_orders: Sequence[KnownOrder], tags: Mapping[str, str]) -> OrdersState:
        arrived: OrdersState = await self.wait()
        return arrived

    async def fetch(self, service: str, orderid: str, part_name: str, policy: PollingPolicy | None) -> int:
        content: int = await self.wait()
        return content

    async def wait(self) -> Any:  # whatever the test lets it go on with
        self.calls.append(asyncio.get_running_loop().create_future())
        return await self.calls[-1]

    async def until(self, calls: int) -> None:
        async with asyncio.timeout(10):
            while len(self.calls) < calls:
                await asyncio.sleep(0)


async def test_a_response_that_arrives_after_a_newer_one_is_not_used() -> None:
    held = Held()
    poller = AsyncOrderPoller[int](held.poll, held.fetch)
    await poller.start(launched())
    first, second = asyncio.create_task(poller.poll_once()), asyncio.create_task(poller.poll_once())
    await held.until(2)

    held.calls[1].set_result(response(order_state("taxi", "order1", status="second")))
    assert (await second).applied
    held.calls[0].set_result(response(order_state("eats", "order1", "full"), eats="tag"))
    report = await first

    assert (report.applied, report.fetched) == (False, ())
    assert [(card.service, card.status) for card in poller.cards] == [("taxi", "second")]


async def test_launch_makes_polls_that_are_under_way_count_for_nothing() -> None:
    held = Held()
    poller = AsyncOrderPoller[int](held.poll, held.fetch)
    await poller.start(launched())
    polling = asyncio.create_task(poller.poll_once())
    await held.until(1)

    await poller.start(launched(order_state("taxi", "order1")))
    held.calls[0].set_result(response(order_state("eats", "order1")))

    assert not (await polling).applied
    assert [card.service for card in poller.cards] == ["taxi"]


async def test_a_poll_does_not_drop_an_order_that_has_come_since_it_began() -> None:
    held = Held()
    poller = AsyncOrderPoller[int](held.poll, held.fetch)
    await poller.start(launched(order_state("eats", "order1")))
    first, second = asyncio.create_task(poller.poll_once()), asyncio.create_task(poller.poll_once())
    await held.until(2)

    held.calls[0].set_result(response(order_state("eats", "order1"), order_state("taxi", "order1")))
    await first
    held.calls[1].set_result(response(order_state("grocery", "order1")))
    await second

    assert [card.service for card in poller.cards] == ["grocery", "taxi"]


async def test_a_poll_does_not_bring_back_as_stale_an_order_that_was_dropped_since_it_began() -> None:
    held = Held()
    poller = AsyncOrderPoller[int](held.poll, held.fetch)
    await poller.start(launched(order_state("eats", "order1"), order_state("taxi", "order1")))
    first, second = asyncio.create_task(poller.poll_once()), asyncio.create_task(poller.poll_once())
    await held.until(2)

    held.calls[0].set_result(response())
    await first
    held.calls[1].set_result(
        response(order_state("eats", "order1", update_status=STALE), order_state("taxi", "order1"))
    )
    await second

    assert [card.service for card in poller.cards] == ["taxi"]


async def test_a_pull_to_refresh_is_not_served_by_what_began_before_it() -> None:
    held = Held()
    poller = AsyncOrderPoller[int](held.poll, held.fetch)
    order = order_state("taxi", "order1", "part2")
    starting = asyncio.create_task(poller.start(launched(order)))
    await held.until(1)
    polling = asyncio.create_task(poller.poll_once())
    await held.until(2)

    poller.force()
    held.calls[1].set_result(response(order))
    await polling
    assert len(held.calls) == 2
    refreshing = asyncio.create_task(poller.poll_once())
    await held.until(3)
    held.calls[2].set_result(response(order))
    await held.until(4)
    held.calls[0].set_result(1)
    await starting
    held.calls[3].set_exception(OSError())
    await refreshing
    assert list(poller.cards[0].outdated) == ["part2"]
    again = asyncio.create_task(poller.poll_once())
    await held.until(5)
    held.calls[4].set_result(response(replace(order, need_request=())))
    await held.until(6)
    held.calls[5].set_result(2)
    await again

    assert poller.cards[0].parts["part2"].content == 2
    assert list(poller.cards[0].outdated) == []


async def test_two_polls_of_one_pull_to_refresh_fetch_a_part_once() -> None:
    held = Held()
    poller = AsyncOrderPoller[int](held.poll, held.fetch)
    order = order_state("taxi", "order1", "part2")
    await poller.start(launched(replace(order, need_request=())))
    poller.force()
    polls = [asyncio.create_task(poller.poll_once()) for _ in range(2)]
    await held.until(2)

    held.calls[0].set_result(response(order))
    await held.until(3)
    held.calls[1].set_result(response(order))
    assert (await polls[1]).fetched == ()
    held.calls[2].set_result(1)
    assert [one.part_name for one in (await polls[0]).fetched] == ["part2"]


async def fetching_twice(held: Held) -> tuple[AsyncOrderPoller[int], asyncio.Task[Any], asyncio.Task[Any]]:
    """Starts with a part at version 1 and polls for version 2: the first and the third call fetch it."""
    poller = AsyncOrderPoller[int](held.poll, held.fetch)
    starting = asyncio.create_task(poller.start(launched(order_state("taxi", "order1", "part2"))))
    await held.until(1)
    polling = asyncio.create_task(poller.poll_once())
    await held.until(2)
    held.calls[1].set_result(response(order_state("taxi", "order1", "part2", tags={"part2": "2"})))
    await held.until(3)
    return poller, starting, polling


async def test_a_tag_is_that_of_the_version_that_was_known_when_the_fetch_began() -> None:
    held = Held()
    poller, starting, polling = await fetching_twice(held)

    held.calls[0].set_result(1)
    await starting
    assert (poller.cards[0].parts["part2"].tag, poller.cards[0].outdated) == ("1", ("part2",))
    again = asyncio.create_task(poller.poll_once())
    await held.until(4)
    held.calls[3].set_result(response(order_state("taxi", "order1", "part2", tags={"part2": "2"})))
    assert (await again).fetched == ()
    held.calls[2].set_result(2)
    await polling

    assert (poller.cards[0].parts["part2"].tag, poller.cards[0].outdated) == ("2", ())


async def test_an_older_content_does_not_take_the_place_of_a_newer_one() -> None:
    held = Held()
    poller, starting, polling = await fetching_twice(held)

    held.calls[2].set_result(22)
    await polling
    held.calls[0].set_result(11)
    await starting

    (card,) = poller.cards
    assert (card.parts["part2"].content, card.parts["part2"].tag) == (22, "2")


async def test_a_poll_that_is_cancelled_leaves_its_part_to_the_next() -> None:
    held = Held()
    poller = AsyncOrderPoller[int](held.poll, held.fetch)
    order = order_state("taxi", "order1", "part2")
    starting = asyncio.create_task(poller.start(launched(order)))
    await held.until(1)
    starting.cancel()
    await asyncio.wait([starting])
    assert poller.cards[0].outdated == ("part2",)

    polling = asyncio.create_task(poller.poll_once())
    await held.until(2)
    held.calls[1].set_result(response(order))
    await held.until(3)
    held.calls[2].set_result(5)

    assert [one.part_name for one in (await polling).fetched] == ["part2"]
    assert poller.cards[0].parts["part2"].content == 5


def test_many_threads_may_poll_at_once() -> None:
    model, guard, fetches = OrderStateByModel(), threading.Lock(), []
    keys = [("taxi", f"order{number}") for number in range(10)]
    for key in keys:
        model.orders[key] = Order("new", {"fast_info": 1})
        model.orders[key].report()

    def poll(*, known_orders: Sequence[KnownOrder], tags: Mapping[str, str]) -> OrdersState:
        with guard:
            return model.response(known_orders, tags)

    def fetch(service: str, orderid: str, part_name: str, _policy: PollingPolicy | None) -> int:
        with guard:
            fetches.append(orderid)
            return model.orders[service, orderid].parts[part_name]

    def work(number: int) -> None:
        for _ in range(20):
            poller.poll_once()
            with guard:
                order = model.orders[keys[number]]
                order.parts["fast_info"] += 1
                order.report()

    poller = OrderPoller[int](poll, fetch)
    poller.start(launched(taxi="opaque taxi"))
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))
    poller.poll_once()

    assert {card.orderid: card.parts["fast_info"].content for card in poller.cards} == {
        orderid: 21 if number < 8 else 1 for number, (_, orderid) in enumerate(keys)
    }
    assert len(fetches) <= 10 + 8 * 20


@pytest.mark.integration
async def test_the_clients_polls_are_what_the_pollers_call() -> None:
    async with AsyncPassengerOrderStateClient("127.0.0.1:1", session_token="session") as client:
        poller = AsyncOrderPoller[int](client.poll_orders_state, Held().fetch)
        await poller.start(launched())
        with pytest.raises(TransportUnavailable):
            await poller.poll_once()


@pytest.mark.integration
def test_the_blocking_client_s_polls_are_what_the_blocking_poller_calls() -> None:
    with PassengerOrderStateClient("127.0.0.1:1", session_token="session") as client:
        poller = OrderPoller[int](client.poll_orders_state, lambda *_request: 1)
        poller.start(launched())
        with pytest.raises(TransportUnavailable):
            poller.poll_once()
