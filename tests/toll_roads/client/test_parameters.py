"""The clients' default call policy: three attempts of a tenth of a second each.

By a clock that moves only while something waits; the blocking clients are generated from these.
"""

from __future__ import annotations

import itertools
import math
import time
from datetime import UTC, datetime

import grpc
import pytest

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail_clients import (
    AsyncPassengerTollRoadsClient,
    AsyncTollRoadsClient,
    CallTimedOut,
    DatabaseUnavailable,
    NeighbourUnavailable,
    OrderNotFound,
    PriceChangesOutOfOrder,
    RetryPolicy,
    RoadSwitchConflict,
    RoadSwitchNotAllowed,
    ServiceError,
    TransportUnavailable,
)
from tests.clients.flavours import ASYNCIO
from tests.clients.scripted_server import ScriptedServer, fail, info, reply, retry_after
from tests.support.virtual_time import in_virtual_time

AWAY = fail(grpc.StatusCode.UNAVAILABLE)
NOT_FOUND = fail(grpc.StatusCode.NOT_FOUND)
# The most that the two pauses between three attempts take; each is drawn.
PAUSES_S = 0.02 + 0.04

alone_and_shared = pytest.mark.parametrize("coalesce", [False, True], ids=["alone", "shared"])


def client_of(server: ScriptedServer, *, hangs: bool = False, **options: object) -> AsyncTollRoadsClient:
    channel = ASYNCIO.in_memory(server, latency=lambda _request: math.inf if hangs else 0.0)
    return AsyncTollRoadsClient(channel, **options)  # type: ignore[arg-type]  # mixed


def waits(server: ScriptedServer) -> list[float]:
    return [later.at - earlier.at for earlier, later in itertools.pairwise(server.received)]


@alone_and_shared
@in_virtual_time
async def test_a_hanging_server_is_called_three_times_for_a_tenth_of_a_second_each(
    server: ScriptedServer, coalesce: bool
) -> None:
    with pytest.raises(CallTimedOut):
        await client_of(server, hangs=True, coalesce=coalesce).retrieve_order(order_id="order")

    assert [attempt.time_remaining for attempt in server.received] == [0.1] * 3
    assert 0.3 <= time.monotonic() <= 0.3 + PAUSES_S


@in_virtual_time
async def test_an_offer_is_saved_by_three_attempts_of_a_tenth_of_a_second(server: ScriptedServer) -> None:
    assert await client_of(server, hangs=True).save_offer(offer_id="offer") is False

    assert [attempt.time_remaining for attempt in server.received] == [0.1] * 3
    assert 0.3 <= time.monotonic() <= 0.3 + PAUSES_S


@alone_and_shared
@in_virtual_time
async def test_a_failing_server_is_called_three_times(server: ScriptedServer, coalesce: bool) -> None:
    server.script(AWAY)

    with pytest.raises(TransportUnavailable):
        await client_of(server, coalesce=coalesce).retrieve_order(order_id="order")

    assert len(server.received) == 3
    first, second = waits(server)
    assert first <= 0.02
    assert second <= 0.04


@alone_and_shared
@in_virtual_time
async def test_the_third_attempt_may_still_succeed(server: ScriptedServer, coalesce: bool) -> None:
    server.script(AWAY, AWAY, NOT_FOUND)

    with pytest.raises(ServiceError, match="NOT_FOUND"):
        await client_of(server, coalesce=coalesce).retrieve_order(order_id="order")

    assert len(server.received) == 3


@alone_and_shared
@in_virtual_time
async def test_the_retry_delay_of_the_server_is_kept_between_attempts(server: ScriptedServer, coalesce: bool) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(0.15)))

    with pytest.raises(DatabaseUnavailable):
        await client_of(server, coalesce=coalesce).retrieve_order(order_id="order")

    assert waits(server) == pytest.approx([0.15, 0.15])


@alone_and_shared
@in_virtual_time
async def test_attempts_and_delays_together_keep_the_deadline_of_the_call(
    server: ScriptedServer, coalesce: bool
) -> None:
    policy = RetryPolicy(attempts=1000, initial_backoff_s=0)

    with pytest.raises(CallTimedOut):
        await client_of(server, hangs=True, retry=policy, coalesce=coalesce).retrieve_order(order_id="order")

    assert time.monotonic() == pytest.approx(1)
    assert [one.time_remaining for one in server.received][:10] == pytest.approx([0.1] * 10)


@pytest.mark.parametrize(
    "code",
    [
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.UNIMPLEMENTED,
    ],
    ids=lambda code: code.name,
)
@in_virtual_time
async def test_an_error_about_the_request_is_not_retried(server: ScriptedServer, code: grpc.StatusCode) -> None:
    server.script(fail(code))
    client = client_of(server)

    with pytest.raises(ServiceError, match=code.name):
        await client.save_offer(offer_id="offer")
    with pytest.raises(ServiceError, match=code.name):
        await client.retrieve_order(order_id="order")

    assert len(server.received) == 2


@in_virtual_time
async def test_a_batch_has_the_time_of_all_the_attempts_that_the_client_allows(server: ScriptedServer) -> None:
    missing = reply(api.BatchRetrieveOrdersResponse(missing_order_ids=["order"]))
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(1.2)), missing)

    with pytest.raises(OrderNotFound):
        await client_of(server, coalesce=True, attempt_timeout=30).retrieve_order(order_id="order", timeout=20)

    assert time.monotonic() == pytest.approx(1.2)
    assert len(server.received) == 2


@in_virtual_time
async def test_a_batch_has_no_more_time_than_a_single_call_whatever_its_callers_have(server: ScriptedServer) -> None:
    policy = RetryPolicy(attempts=1000, initial_backoff_s=0)

    with pytest.raises(CallTimedOut):
        await client_of(server, hangs=True, coalesce=True, retry=policy).retrieve_order(order_id="order", timeout=60)

    assert time.monotonic() == pytest.approx(1)


async def switch(server: ScriptedServer) -> None:
    client = AsyncPassengerTollRoadsClient(ASYNCIO.in_memory(server))
    await client.switch_road(order_id="order", has_toll_road=False, created=datetime(2026, 3, 4, tzinfo=UTC))


@in_virtual_time
async def test_a_switch_is_repeated_with_the_same_created_if_order_core_does_not_respond(
    server: ScriptedServer,
) -> None:
    away = fail(grpc.StatusCode.UNAVAILABLE, info("NEIGHBOUR_UNAVAILABLE", neighbour="order-core"), retry_after(0.1))
    server.script(away, away, reply())

    await switch(server)

    requests = [attempt.request for attempt in server.received]
    assert len(requests) == 3
    assert requests[0] == requests[1] == requests[2]
    assert waits(server) == pytest.approx([0.1, 0.1])


@in_virtual_time
async def test_a_switch_that_keeps_failing_is_raised_for_the_app_to_repeat(server: ScriptedServer) -> None:
    server.script(
        fail(grpc.StatusCode.UNAVAILABLE, info("NEIGHBOUR_UNAVAILABLE", neighbour="order-core"), retry_after(0.01))
    )

    with pytest.raises(NeighbourUnavailable) as raised:
        await switch(server)

    assert raised.value.metadata["neighbour"] == "order-core"
    assert len(server.received) == 3


@pytest.mark.parametrize(
    ("code", "raised"),
    [
        (grpc.StatusCode.NOT_FOUND, OrderNotFound),
        (grpc.StatusCode.FAILED_PRECONDITION, RoadSwitchNotAllowed),
        (grpc.StatusCode.ALREADY_EXISTS, RoadSwitchConflict),
        (grpc.StatusCode.FAILED_PRECONDITION, PriceChangesOutOfOrder),
    ],
    ids=lambda value: getattr(value, "__name__", value.name if isinstance(value, grpc.StatusCode) else ""),
)
@in_virtual_time
async def test_a_refused_switch_is_not_repeated(
    server: ScriptedServer, code: grpc.StatusCode, raised: type[ServiceError]
) -> None:
    server.script(fail(code, info(raised.REASON, order_id="order")))

    with pytest.raises(raised) as refused:
        await switch(server)

    assert type(refused.value) is raised
    assert refused.value.metadata == {"order_id": "order"}
    assert len(server.received) == 1
