"""What consumers get while toll roads is unavailable: the last known road, or an offer that is not saved."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import MutableMapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import cachetools
import grpc
import pytest
from google.protobuf.message import Message

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import (
    AsyncTollRoadsClient,
    CallerNotAllowed,
    CallTimedOut,
    ClientClosed,
    InvalidRequest,
    OrderNotFound,
    OrderRoad,
    RoadCache,
    ServiceError,
    TransportUnavailable,
)
from ridehail_clients.availability import is_unavailable
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import Answer, ScriptedServer, fail, info, reply, retry_after
from tests.clients.toll_roads_answers import NOON, roads_of
from tests.support.suite_in_process import SuiteInProcess
from tests.support.toll_roads import put_order

KNOWN = OrderRoad("order", has_toll_road=True, can_switch_road=True, created=NOON)
OUTAGES = {
    "unreachable": fail(grpc.StatusCode.UNAVAILABLE),
    "without database": fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(0.001)),
    "without order core": fail(grpc.StatusCode.UNAVAILABLE, info("NEIGHBOUR_UNAVAILABLE", neighbour="order-core")),
    "overloaded": fail(grpc.StatusCode.RESOURCE_EXHAUSTED, info("OVERLOADED"), retry_after(0.001)),
    "exhausted": fail(grpc.StatusCode.RESOURCE_EXHAUSTED),
    "shutting down": fail(grpc.StatusCode.CANCELLED),
    "out of time": fail(grpc.StatusCode.DEADLINE_EXCEEDED, info("DEADLINE_EXCEEDED")),
    "defective": fail(grpc.StatusCode.INTERNAL, info("INTERNAL", request_id="1")),
    "something else": fail(grpc.StatusCode.UNKNOWN),
}
REFUSALS = {
    "invalid": fail(grpc.StatusCode.INVALID_ARGUMENT, info("INVALID_REQUEST")),
    "no ticket": fail(grpc.StatusCode.UNAUTHENTICATED, info("TICKET_MISSING")),
    "old ticket": fail(grpc.StatusCode.UNAUTHENTICATED, info("TICKET_EXPIRED")),
    "not allowed": fail(grpc.StatusCode.PERMISSION_DENIED, info("CALLER_NOT_ALLOWED", caller="me", method="it")),
    "not served": fail(grpc.StatusCode.UNIMPLEMENTED, info("NOT_IMPLEMENTED")),
    "precondition": fail(grpc.StatusCode.FAILED_PRECONDITION),
}
outages = pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
refusals = pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
alone_and_shared = pytest.mark.parametrize("coalesce", [False, True], ids=["alone", "shared"])


def told(*, has_toll_road: bool = True, created: datetime | None = NOON) -> api.RetrieveOrderResponse:
    answer = api.RetrieveOrderResponse(has_toll_road=has_toll_road, can_switch_road=True)
    if created is not None:
        answer.created.FromDatetime(created)
    return answer


def road(*, has_toll_road: bool = True, created: datetime | None = NOON) -> OrderRoad:
    return replace(KNOWN, has_toll_road=has_toll_road, created=created)


async def retrieve(server: ScriptedServer, flavour: Flavour, cache: RoadCache | None, **options: Any) -> OrderRoad:
    found: OrderRoad = await flavour.call(
        server.target,
        "TollRoadsClient",
        "retrieve_order",
        {"order_id": "order", "fallback": cache, "timeout": 10},
        **options,
    )
    return found


@outages
@alone_and_shared
async def test_the_last_known_road_stands_in_for_an_unavailable_service_and_says_so(
    server: ScriptedServer, flavour: Flavour, outage: Answer, coalesce: bool
) -> None:
    cache = {"order": KNOWN, "other": replace(KNOWN, order_id="other")}
    server.script(outage)

    found = await retrieve(server, flavour, cache, coalesce=coalesce)

    assert found == replace(KNOWN, stale=True)
    assert cache == {"order": KNOWN, "other": replace(KNOWN, order_id="other")}


@outages
async def test_without_a_last_known_road_the_failure_is_raised_as_it_is(
    server: ScriptedServer, flavour: Flavour, outage: Answer
) -> None:
    server.script(outage)
    with pytest.raises(ServiceError) as without_fallback:
        await retrieve(server, flavour, None)
    cache = {"other": KNOWN}

    with pytest.raises(ServiceError) as with_fallback:
        await retrieve(server, flavour, cache)

    assert type(with_fallback.value) is type(without_fallback.value)
    assert with_fallback.value.args == without_fallback.value.args
    assert cache == {"other": KNOWN}


@refusals
async def test_a_refusal_is_no_outage(server: ScriptedServer, flavour: Flavour, refusal: Answer) -> None:
    cache = {"order": KNOWN}
    server.script(refusal)

    with pytest.raises(ServiceError):
        await retrieve(server, flavour, cache)

    assert cache == {"order": KNOWN}


async def test_a_server_that_hangs_and_one_that_is_not_there_are_unavailable(
    server: ScriptedServer, flavour: Flavour
) -> None:
    cache = {"order": KNOWN}
    server.script(server.hang)
    assert (await retrieve(server, flavour, cache, attempt_timeout=0.05)).stale

    nobody = ScriptedServer(target="127.0.0.1:1")
    assert (await retrieve(nobody, flavour, cache)).stale
    with pytest.raises((TransportUnavailable, CallTimedOut)):
        await retrieve(nobody, flavour, {})


@alone_and_shared
async def test_an_answer_is_kept_for_later(server: ScriptedServer, flavour: Flavour, coalesce: bool) -> None:
    cache: dict[str, OrderRoad] = {}
    server.behaviour = roads_of([KNOWN])

    found = await retrieve(server, flavour, cache, coalesce=coalesce)

    assert found == KNOWN
    assert not found.stale
    assert cache == {"order": KNOWN}


@alone_and_shared
async def test_an_order_that_is_not_found_leaves_the_cache(
    server: ScriptedServer, flavour: Flavour, coalesce: bool
) -> None:
    cache = {"order": KNOWN}
    server.behaviour = roads_of([])

    with pytest.raises(OrderNotFound):
        await retrieve(server, flavour, cache, coalesce=coalesce)

    assert cache == {}


async def test_another_not_found_is_about_no_order_and_leaves_the_cache_alone(
    server: ScriptedServer, flavour: Flavour
) -> None:
    cache = {"order": KNOWN}
    server.script(fail(grpc.StatusCode.NOT_FOUND))

    with pytest.raises(ServiceError):
        await retrieve(server, flavour, cache)

    assert cache == {"order": KNOWN}


async def test_the_service_counts_for_more_than_what_was_known_before(server: ScriptedServer, flavour: Flavour) -> None:
    cache = {"order": road(has_toll_road=False, created=NOON + timedelta(hours=1))}
    server.script(reply(told()))

    await retrieve(server, flavour, cache)

    assert cache == {"order": KNOWN}


async def test_a_late_answer_does_not_take_the_place_of_a_newer_one(server: ScriptedServer, flavour: Flavour) -> None:
    newer = NOON + timedelta(minutes=1)
    first_may_end = threading.Event()
    calls: list[api.RetrieveOrderRequest] = []

    def behave(request: api.RetrieveOrderRequest, _context: grpc.ServicerContext) -> Message:
        calls.append(request)
        if len(calls) == 1:
            first_may_end.wait(10)
            return told()
        return told(has_toll_road=False, created=newer)

    server.behaviour = behave
    cache: dict[str, OrderRoad] = {}
    async with flavour.opened(server.target, "TollRoadsClient", attempt_timeout=30) as opened:
        late = asyncio.create_task(opened.call("retrieve_order", order_id="order", fallback=cache, timeout=20))
        assert await asyncio.to_thread(server.first_received.wait, 10)
        await opened.call("retrieve_order", order_id="order", fallback=cache, timeout=20)
        first_may_end.set()
        assert await late == KNOWN

    assert cache == {"order": road(has_toll_road=False, created=newer)}


def typed_caches() -> list[RoadCache]:
    """Each of these is accepted by the type checker."""
    plain: dict[str, OrderRoad] = {}
    recent: cachetools.TTLCache[str, OrderRoad] = cachetools.TTLCache(10, 60)
    small: cachetools.LRUCache[str, OrderRoad] = cachetools.LRUCache(10)
    any_mapping: MutableMapping[str, OrderRoad] = {}
    return [plain, recent, small, any_mapping]


@pytest.mark.parametrize("cache", typed_caches(), ids=lambda cache: type(cache).__name__)
async def test_any_mutable_mapping_will_do(server: ScriptedServer, flavour: Flavour, cache: RoadCache) -> None:
    server.script(reply(told()), fail(grpc.StatusCode.UNAVAILABLE))

    assert not (await retrieve(server, flavour, cache)).stale
    assert (await retrieve(server, flavour, cache)).stale
    server.received.clear()
    server.script(fail(grpc.StatusCode.NOT_FOUND, info("ORDER_NOT_FOUND", order_id="order")))
    with pytest.raises(OrderNotFound):
        await retrieve(server, flavour, cache)
    assert cache.get("order") is None


@outages
async def test_an_offer_that_is_not_saved_for_an_outage_raises_nothing(
    server: ScriptedServer, flavour: Flavour, outage: Answer
) -> None:
    server.script(outage)

    saved = await flavour.call(server.target, "TollRoadsClient", "save_offer", {"offer_id": "offer", "timeout": 10})

    assert saved is False


@refusals
async def test_an_offer_that_is_refused_is_a_defect_of_the_caller_and_raises(
    server: ScriptedServer, flavour: Flavour, refusal: Answer
) -> None:
    server.script(refusal)

    with pytest.raises(ServiceError):
        await flavour.call(server.target, "TollRoadsClient", "save_offer", {"offer_id": "offer", "timeout": 10})


async def test_a_saved_offer_is_said_to_be_saved(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE), reply())

    assert await flavour.call(server.target, "TollRoadsClient", "save_offer", {"offer_id": "offer"}) is True


async def test_nothing_of_a_caller_whose_server_is_gone_is_raised_for_an_offer(flavour: Flavour) -> None:
    assert await flavour.call("127.0.0.1:1", "TollRoadsClient", "save_offer", {"offer_id": "offer"}) is False


async def test_cancelling_the_one_who_saves_an_offer_is_no_outage(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with AsyncTollRoadsClient(server.target, attempt_timeout=30) as client:
        saving = asyncio.create_task(client.save_offer(offer_id="offer", timeout=30))
        assert await asyncio.to_thread(server.first_received.wait, 10)

        saving.cancel()

        with pytest.raises(asyncio.CancelledError):
            await saving


async def test_using_a_closed_client_is_no_outage(server: ScriptedServer, flavour: Flavour) -> None:
    async with flavour.opened(server.target, "TollRoadsClient") as opened:
        await opened.close()

        with pytest.raises(ClientClosed):
            await opened.call("save_offer", offer_id="offer")
        with pytest.raises(ClientClosed):
            await opened.call("retrieve_order", order_id="order", fallback={"order": KNOWN})


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_every_code_is_either_an_outage_or_an_answer(code: grpc.StatusCode) -> None:
    outage = code.name in {
        "UNAVAILABLE",
        "DEADLINE_EXCEEDED",
        "RESOURCE_EXHAUSTED",
        "CANCELLED",
        "INTERNAL",
        "UNKNOWN",
        "DATA_LOSS",
    }
    assert is_unavailable(ServiceError(code)) == outage


async def test_with_the_real_service_offers_are_saved_refused_and_not_saved(
    running_suite: SuiteInProcess,
) -> None:
    async with AsyncTollRoadsClient(
        running_suite.address, ticket=running_suite.ticket("routestats"), attempt_timeout=10
    ) as routestats:
        assert await routestats.save_offer(offer_id="offer", timeout=10) is True
        with pytest.raises(InvalidRequest):
            await routestats.save_offer(offer_id="")
        await running_suite.execute("ALTER TABLE toll_roads.offers RENAME TO offers_away")
        assert await routestats.save_offer(offer_id="another", timeout=10) is False
    async with AsyncTollRoadsClient(running_suite.address, ticket=running_suite.ticket("api-proxy")) as api_proxy:
        with pytest.raises(CallerNotAllowed):
            await api_proxy.save_offer(offer_id="offer")


@alone_and_shared
async def test_with_the_real_service_the_last_road_is_shown_while_it_is_broken(
    running_suite: SuiteInProcess, coalesce: bool
) -> None:
    await put_order(running_suite, "order", (NOON, True))
    cache: dict[str, OrderRoad] = {}
    async with AsyncTollRoadsClient(
        running_suite.address, ticket=running_suite.ticket("api-proxy"), attempt_timeout=10, coalesce=coalesce
    ) as client:
        assert await client.retrieve_order(order_id="order", fallback=cache, timeout=10) == KNOWN
        await running_suite.execute("ALTER TABLE toll_roads.orders RENAME TO orders_away")
        assert await client.retrieve_order(order_id="order", fallback=cache, timeout=10) == replace(KNOWN, stale=True)
        with pytest.raises(ServiceError):
            await client.retrieve_order(order_id="unknown", fallback=cache, timeout=10)
        await running_suite.execute("ALTER TABLE toll_roads.orders_away RENAME TO orders")
        assert await client.retrieve_order(order_id="order", fallback=cache, timeout=10) == KNOWN
