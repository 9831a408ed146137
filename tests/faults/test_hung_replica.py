"""A server that hangs, as by SIGSTOP: it is found within seconds, and gets no calls until it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ridehail_servers.chassis.settings import ServerTuning
from ridehail_servers.chassis.transport import grpcio
from tests.clients.flavours import Flavour
from tests.support.background_calls import ATTEMPT_S, Done, background_calls
from tests.support.replica import Replica
from tests.support.waiting import LIMIT_S


@pytest.fixture
def replicas(sockets: None) -> Iterator[list[Replica]]:
    started: list[Replica] = []
    try:
        started.extend(Replica.start(has_toll_road=number == 0) for number in range(2))
        yield started
    finally:
        for one in started:
            one.kill()


def answered_by(replica: Replica, done: list[Done]) -> bool:
    return any(one.has_toll_road is replica.has_toll_road for one in done)


def is_quick(done: list[Done]) -> bool:
    """Tells whether the last 40 calls needed, with an exception or two, one attempt each."""
    return len(done) >= 40 and sum(one.error is not None or one.seconds >= ATTEMPT_S for one in done[-40:]) <= 2


async def test_one_of_two_that_hangs_costs_nothing_once_it_is_found(flavour: Flavour, replicas: list[Replica]) -> None:
    hung, other = replicas
    async with background_calls(flavour, f"ipv4:{hung.address},{other.address}") as calls:
        await calls.reaches(lambda done: answered_by(hung, done) and answered_by(other, done))

        hung.hang()
        await calls.reaches(is_quick)
        while_it_hangs = await calls.next(100)

        assert [one.error for one in while_it_hangs if one.error is not None] == []
        # Half of them would be slow if it was still called; the few that may be are for a machine that stalls.
        assert sum(one.seconds >= ATTEMPT_S for one in while_it_hangs) <= 10

        hung.go_on()
        await calls.reaches(lambda done: answered_by(hung, done))


async def test_the_only_server_is_used_again_as_soon_as_it_goes_on(flavour: Flavour, replicas: list[Replica]) -> None:
    only = replicas[0]
    async with background_calls(flavour, only.address) as calls:
        await calls.reaches(lambda done: answered_by(only, done))

        only.hang()
        await calls.reaches(lambda done: sum(one.error is not None for one in done) >= 40)
        only.go_on()

        await calls.reaches(lambda done: answered_by(only, done))
        after = await calls.next(40)
        assert [one.error for one in after if one.error is not None] == []


async def test_answers_about_the_request_set_no_server_aside(flavour: Flavour, replicas: list[Replica]) -> None:
    first, second = replicas
    async with flavour.opened(
        f"ipv4:{first.address},{second.address}", "TollRoadsClient", attempt_timeout=LIMIT_S
    ) as client:
        missing = [client.call("retrieve_order", order_id="missing", timeout=LIMIT_S) for _ in range(200)]
        answers = await asyncio.gather(*missing, return_exceptions=True)
        assert {type(answer).__name__ for answer in answers} == {"ServiceError"}

        roads = await asyncio.gather(
            *(client.call("retrieve_order", order_id="order", timeout=LIMIT_S) for _ in range(40))
        )

    assert {road.has_toll_road for road in roads} == {True, False}


def test_the_servers_allow_as_many_pings_as_the_clients_send() -> None:
    assert dict(grpcio.options(ServerTuning()))["grpc.http2.min_recv_ping_interval_without_data_ms"] < 1000
