"""How the clients of toll roads are to call it: three attempts of a tenth of a second each."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from ridehail_clients import (
    CallTimedOut,
    DatabaseUnavailable,
    NeighbourUnavailable,
    OrderNotFound,
    PriceChangesOutOfOrder,
    RetryPolicy,
    RoadSwitchConflict,
    RoadSwitchNotAllowed,
    ServiceError,
)
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer, fail, info, reply, retry_after

SAVE_OFFER = ("save_offer", {"offer_id": "offer"})
RETRIEVE_ORDER = ("retrieve_order", {"order_id": "order"})
# The attempts' own time is what this is about: no `attempt_timeout` of the test's.
BY_CONTRACT: dict[str, Any] = {"attempt_timeout": None}
# The server counts its own time, and a busy machine is late to begin with it.
SLACK_S = 0.02
BUSY_MACHINE_S = 3

alone_and_shared = pytest.mark.parametrize("coalesce", [False, True], ids=["alone", "shared"])


@alone_and_shared
async def test_a_server_that_hangs_is_asked_three_times_for_a_tenth_of_a_second_each(
    server: ScriptedServer, flavour: Flavour, coalesce: bool
) -> None:
    server.script(server.hang)
    seen: list[int] = []
    async with flavour.opened(server.target, "TollRoadsClient", coalesce=coalesce) as opened:
        # On a busy machine an attempt may be over before the server has heard of it, so the server may see fewer.
        while max(seen, default=0) < 3 and len(seen) < 5:
            server.received.clear()
            begun = time.monotonic()

            with pytest.raises(CallTimedOut):
                await opened.call("retrieve_order", order_id="order")

            # Each attempt has its tenth; the pauses between them are drawn from 20 ms and 40 ms.
            assert 0.3 <= time.monotonic() - begun < 0.36 + BUSY_MACHINE_S
            assert all(attempt.time_remaining <= 0.1 + SLACK_S for attempt in server.received)
            seen.append(len(server.received))

    assert max(seen) == 3


async def test_an_offer_is_saved_by_three_attempts_of_a_tenth_of_a_second(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(server.hang)
    begun = time.monotonic()

    saved = await flavour.call(server.target, "TollRoadsClient", *SAVE_OFFER, **BY_CONTRACT)

    assert saved is False
    assert 0.3 <= time.monotonic() - begun < 0.36 + BUSY_MACHINE_S
    # A connection that is slow to be made may take the first attempt with it.
    assert 1 <= len(server.received) <= 3
    assert all(attempt.time_remaining <= 0.1 + SLACK_S for attempt in server.received)


@alone_and_shared
async def test_a_failing_server_is_asked_three_times(server: ScriptedServer, flavour: Flavour, coalesce: bool) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE))

    with pytest.raises(ServiceError):
        await flavour.call(server.target, "TollRoadsClient", *RETRIEVE_ORDER, coalesce=coalesce)

    assert len(server.received) == 3


@alone_and_shared
async def test_the_third_attempt_may_still_succeed(server: ScriptedServer, flavour: Flavour, coalesce: bool) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE), fail(grpc.StatusCode.UNAVAILABLE), fail(grpc.StatusCode.NOT_FOUND))

    with pytest.raises(ServiceError) as raised:
        await flavour.call(server.target, "TollRoadsClient", *RETRIEVE_ORDER, coalesce=coalesce)

    assert raised.value.code is grpc.StatusCode.NOT_FOUND
    assert len(server.received) == 3


@alone_and_shared
async def test_the_pause_that_the_server_asks_for_is_kept_between_attempts(
    server: ScriptedServer, flavour: Flavour, coalesce: bool
) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(0.15)))

    with pytest.raises(ServiceError):
        await flavour.call(server.target, "TollRoadsClient", *RETRIEVE_ORDER, coalesce=coalesce)

    waits = [later.at - earlier.at for earlier, later in itertools.pairwise(server.received)]
    assert len(waits) == 2
    assert all(wait >= 0.15 for wait in waits)


@alone_and_shared
async def test_attempts_and_pauses_together_keep_the_deadline_of_the_call(
    server: ScriptedServer, flavour: Flavour, coalesce: bool
) -> None:
    server.script(server.hang)
    policy = RetryPolicy(attempts=1000, initial_backoff_s=0.001, max_backoff_s=0.001)
    begun = time.monotonic()

    with pytest.raises(CallTimedOut):
        await flavour.call(
            server.target, "TollRoadsClient", *RETRIEVE_ORDER, retry=policy, coalesce=coalesce, **BY_CONTRACT
        )

    assert 0.9 < time.monotonic() - begun < 1 + BUSY_MACHINE_S
    assert 3 < len(server.received) <= 11


@pytest.mark.parametrize("method", [SAVE_OFFER, RETRIEVE_ORDER], ids=lambda method: method[0])
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
async def test_an_answer_about_the_request_is_not_asked_for_again(
    server: ScriptedServer, flavour: Flavour, method: tuple[str, dict[str, str]], code: grpc.StatusCode
) -> None:
    server.script(fail(code))

    with pytest.raises(ServiceError) as raised:
        await flavour.call(server.target, "TollRoadsClient", *method)

    assert raised.value.code is code
    assert len(server.received) == 1


async def test_a_batch_has_the_time_of_all_the_attempts_that_the_client_allows(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(1.2)), reply())

    with pytest.raises(ServiceError) as answered:
        await flavour.call(
            server.target, "TollRoadsClient", "retrieve_order", {"order_id": "order", "timeout": 20}, coalesce=True
        )

    assert answered.value.code is grpc.StatusCode.INTERNAL  # the empty answer says nothing of the order
    assert len(server.received) == 2


async def test_a_batch_has_no_more_time_than_a_single_call_whatever_its_callers_have(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(fail(grpc.StatusCode.UNAVAILABLE, info("DATABASE_UNAVAILABLE"), retry_after(1.5)))
    begun = time.monotonic()

    # Where the machine is too busy for an attempt of a tenth of a second, the batch ends by its second all the same.
    with pytest.raises((DatabaseUnavailable, CallTimedOut)):
        await flavour.call(
            server.target,
            "TollRoadsClient",
            "retrieve_order",
            {"order_id": "order", "timeout": 60},
            coalesce=True,
            **BY_CONTRACT,
        )

    assert time.monotonic() - begun < 1.4


SWITCH = (
    "PassengerTollRoadsClient",
    "switch_road",
    {"order_id": "order", "has_toll_road": False, "created": datetime(2026, 3, 4, tzinfo=UTC)},
)


async def test_a_switch_is_repeated_with_the_same_moment_when_order_core_does_not_answer(
    server: ScriptedServer, flavour: Flavour
) -> None:
    away = fail(grpc.StatusCode.UNAVAILABLE, info("NEIGHBOUR_UNAVAILABLE", neighbour="order-core"), retry_after(0.1))
    server.script(away, away, reply())

    await flavour.call(server.target, *SWITCH)

    requests = [attempt.request for attempt in server.received]
    assert len(requests) == 3
    assert requests[0] == requests[1] == requests[2]
    waits = [later.at - earlier.at for earlier, later in itertools.pairwise(server.received)]
    assert all(wait >= 0.1 for wait in waits)


async def test_a_switch_that_cannot_be_made_for_long_is_left_to_the_app_to_repeat(
    server: ScriptedServer, flavour: Flavour
) -> None:
    server.script(
        fail(grpc.StatusCode.UNAVAILABLE, info("NEIGHBOUR_UNAVAILABLE", neighbour="order-core"), retry_after(0.01))
    )

    with pytest.raises(NeighbourUnavailable) as raised:
        await flavour.call(server.target, *SWITCH)

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
async def test_a_refused_switch_is_not_repeated(
    server: ScriptedServer, flavour: Flavour, code: grpc.StatusCode, raised: type[ServiceError]
) -> None:
    server.script(fail(code, info(raised.REASON, order_id="order")))

    with pytest.raises(raised) as refused:
        await flavour.call(server.target, *SWITCH)

    assert type(refused.value) is raised
    assert refused.value.metadata == {"order_id": "order"}
    assert len(server.received) == 1
