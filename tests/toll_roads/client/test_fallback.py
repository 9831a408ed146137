"""Results while toll roads is unavailable: the last known road, or an offer that is not saved."""

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
    CallTimedOut,
    ClientClosed,
    OrderNotFound,
    OrderRoad,
    RetryPolicy,
    RoadCache,
    ServiceError,
    TransportUnavailable,
)
from ridehail_kernel.availability import is_unavailable
from tests.clients.flavours import ASYNCIO, Flavour
from tests.clients.scripted_server import Reply, ScriptedServer, fail, info, reply, retry_after
from tests.support.waiting import LIMIT_S
from tests.toll_roads.client.scripted_toll_roads import NOON, roads_of

KNOWN = OrderRoad("order", has_toll_road=True, can_switch_road=True, created=NOON)
AT_ONCE = RetryPolicy(initial_backoff_s=0)
CLOSED_PORT = "127.0.0.1:1"
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


def response_of(*, has_toll_road: bool = True, created: datetime | None = NOON) -> api.RetrieveOrderResponse:
    response = api.RetrieveOrderResponse(has_toll_road=has_toll_road, can_switch_road=True)
    if created is not None:
        response.created.FromDatetime(created)
    return response


def road(*, has_toll_road: bool = True, created: datetime | None = NOON) -> OrderRoad:
    return replace(KNOWN, has_toll_road=has_toll_road, created=created)


async def retrieve(
    server: ScriptedServer, cache: RoadCache | None, *, flavour: Flavour = ASYNCIO, **options: Any
) -> OrderRoad:
    arguments = {"order_id": "order", "fallback": cache, "timeout": 60}
    channel = flavour.in_memory(server)
    road: OrderRoad = await flavour.call(
        channel, "TollRoadsClient", "retrieve_order", arguments, retry=AT_ONCE, **options
    )
    return road


async def save_offer(server: ScriptedServer, *, flavour: Flavour = ASYNCIO) -> bool:
    saved: bool = await flavour.call(
        flavour.in_memory(server), "TollRoadsClient", "save_offer", {"offer_id": "offer"}, retry=AT_ONCE
    )
    return saved


@outages
@alone_and_shared
async def test_the_last_known_road_replaces_an_unavailable_service_and_is_marked(
    server: ScriptedServer, outage: Reply, coalesce: bool
) -> None:
    cache = {"order": KNOWN, "other": replace(KNOWN, order_id="other")}
    server.script(outage)

    found = await retrieve(server, cache, coalesce=coalesce)

    assert found == replace(KNOWN, stale=True)
    assert cache == {"order": KNOWN, "other": replace(KNOWN, order_id="other")}


@outages
async def test_without_a_last_known_road_the_failure_is_raised_as_it_is(server: ScriptedServer, outage: Reply) -> None:
    server.script(outage)
    with pytest.raises(ServiceError) as without_fallback:
        await retrieve(server, None)
    cache = {"other": KNOWN}

    with pytest.raises(ServiceError) as with_fallback:
        await retrieve(server, cache)

    assert type(with_fallback.value) is type(without_fallback.value)
    assert with_fallback.value.args == without_fallback.value.args
    assert cache == {"other": KNOWN}


@refusals
async def test_a_refusal_is_raised(server: ScriptedServer, refusal: Reply) -> None:
    cache = {"order": KNOWN}
    server.script(refusal)

    with pytest.raises(ServiceError):
        await retrieve(server, cache)

    assert cache == {"order": KNOWN}


async def test_a_server_that_hangs_and_one_that_is_not_there_are_unavailable(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(server.hang)
    arguments = {"order_id": "order", "timeout": 10}
    for target, attempt_timeout in ((server.target, 0.05), (CLOSED_PORT, 60)):
        call = (target, "TollRoadsClient", "retrieve_order")
        assert (
            await flavour.call(*call, {**arguments, "fallback": {"order": KNOWN}}, attempt_timeout=attempt_timeout)
        ).stale
        with pytest.raises((TransportUnavailable, CallTimedOut)):
            await flavour.call(*call, {**arguments, "fallback": {}}, attempt_timeout=attempt_timeout)


@alone_and_shared
async def test_a_response_is_cached_and_an_order_not_found_is_removed_from_the_cache(
    server: ScriptedServer, flavour: Flavour, coalesce: bool
) -> None:
    cache: dict[str, OrderRoad] = {}
    server.behaviour = roads_of([KNOWN])

    found = await retrieve(server, cache, flavour=flavour, coalesce=coalesce)

    assert found == KNOWN
    assert not found.stale
    assert cache == {"order": KNOWN}

    server.behaviour = roads_of([])
    with pytest.raises(OrderNotFound):
        await retrieve(server, cache, flavour=flavour, coalesce=coalesce)
    assert cache == {}


async def test_a_not_found_that_is_not_about_the_order_leaves_the_cache_unchanged(server: ScriptedServer) -> None:
    cache = {"order": KNOWN}
    server.script(fail(grpc.StatusCode.NOT_FOUND))

    with pytest.raises(ServiceError):
        await retrieve(server, cache)

    assert cache == {"order": KNOWN}


async def test_the_response_of_the_service_replaces_the_cached_road(server: ScriptedServer) -> None:
    cache = {"order": road(has_toll_road=False, created=NOON + timedelta(hours=1))}
    server.script(reply(response_of()))

    await retrieve(server, cache)

    assert cache == {"order": KNOWN}


async def test_a_late_response_does_not_replace_a_newer_one(server: ScriptedServer, flavour: Flavour) -> None:
    newer = NOON + timedelta(minutes=1)
    first_may_end = threading.Event()
    calls: list[api.RetrieveOrderRequest] = []

    def behave(request: api.RetrieveOrderRequest, _context: grpc.ServicerContext) -> Message:
        calls.append(request)
        if len(calls) == 1:
            first_may_end.wait(LIMIT_S)
            return response_of()
        return response_of(has_toll_road=False, created=newer)

    server.behaviour = behave
    cache: dict[str, OrderRoad] = {}
    async with flavour.opened(server.target, "TollRoadsClient", attempt_timeout=60) as opened:
        late = asyncio.create_task(opened.call("retrieve_order", order_id="order", fallback=cache, timeout=60))
        assert await asyncio.to_thread(server.first_received.wait, LIMIT_S)
        await opened.call("retrieve_order", order_id="order", fallback=cache, timeout=60)
        first_may_end.set()
        assert await late == KNOWN

    assert cache == {"order": road(has_toll_road=False, created=newer)}


def typed_caches() -> list[RoadCache]:
    """Each of these is accepted by the type checker."""
    plain: dict[str, OrderRoad] = {}
    recent: cachetools.TTLCache[str, OrderRoad] = cachetools.TTLCache(10, 600)
    small: cachetools.LRUCache[str, OrderRoad] = cachetools.LRUCache(10)
    any_mapping: MutableMapping[str, OrderRoad] = {}
    return [plain, recent, small, any_mapping]


@pytest.mark.parametrize("cache", typed_caches(), ids=lambda cache: type(cache).__name__)
async def test_any_mutable_mapping_can_be_the_cache(server: ScriptedServer, cache: RoadCache) -> None:
    server.script(reply(response_of()))
    assert not (await retrieve(server, cache)).stale
    server.script(fail(grpc.StatusCode.UNAVAILABLE))
    assert (await retrieve(server, cache)).stale
    server.script(fail(grpc.StatusCode.NOT_FOUND, info("ORDER_NOT_FOUND", order_id="order")))
    with pytest.raises(OrderNotFound):
        await retrieve(server, cache)
    assert cache.get("order") is None


@outages
async def test_an_offer_not_saved_because_of_an_outage_raises_nothing(server: ScriptedServer, outage: Reply) -> None:
    server.script(outage)

    assert await save_offer(server) is False


@refusals
async def test_a_refused_offer_is_raised(server: ScriptedServer, refusal: Reply) -> None:
    server.script(refusal)

    with pytest.raises(ServiceError):
        await save_offer(server)


async def test_saving_an_offer_returns_true(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE), reply())

    assert await save_offer(server, flavour=flavour) is True


@pytest.mark.integration
async def test_saving_an_offer_raises_nothing_if_the_server_is_gone(flavour: Flavour) -> None:
    assert await flavour.call(CLOSED_PORT, "TollRoadsClient", "save_offer", {"offer_id": "offer"}) is False


async def test_a_cancelled_save_of_an_offer_is_cancelled(server: ScriptedServer) -> None:
    server.script(server.hang)
    async with AsyncTollRoadsClient(server.target, attempt_timeout=60) as client:
        saving = asyncio.create_task(client.save_offer(offer_id="offer", timeout=60))
        assert await asyncio.to_thread(server.first_received.wait, LIMIT_S)

        saving.cancel()

        with pytest.raises(asyncio.CancelledError):
            await saving


async def test_a_closed_client_raises(server: ScriptedServer, flavour: Flavour) -> None:
    async with flavour.opened(server.target, "TollRoadsClient") as opened:
        await opened.close()

        with pytest.raises(ClientClosed):
            await opened.call("save_offer", offer_id="offer")
        with pytest.raises(ClientClosed):
            await opened.call("retrieve_order", order_id="order", fallback={"order": KNOWN})


@pytest.mark.parametrize("code", list(grpc.StatusCode), ids=lambda code: code.name)
def test_every_code_is_either_an_outage_or_raised(code: grpc.StatusCode) -> None:
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
