"""A transport that stops lets calls under way end, and accepts no more."""

from __future__ import annotations

import asyncio
import socket
import time
from functools import partial

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.chassis.transport.served import ECHO, HANG, served
from tests.chassis.transport.test_calls import method
from tests.support.fork_server import fork_server
from tests.support.waiting import LIMIT_S, until

_GRACE_S = 0.02


async def test_calls_under_way_end_while_new_ones_find_no_server(transport_name: str) -> None:
    idle = asyncio.Event()
    async with served(transport_name) as running, running.channel() as channel, running.channel() as late:
        under_way = asyncio.ensure_future(method(channel, HANG)(b"", timeout=LIMIT_S))
        await until(lambda: running.scripted.begun == 1)
        waiting = running.scripted.going_on
        running.scripted.going_on = asyncio.Event()  # `stop` lets nothing go on

        stopping = asyncio.create_task(running.stop(grace_s=600, idle=idle))

        async def is_refused() -> bool:
            try:
                await method(late, ECHO)(b"", timeout=LIMIT_S)
            except grpc.aio.AioRpcError as error:
                return error.code() == grpc.StatusCode.UNAVAILABLE
            return False

        await until(is_refused)
        assert not under_way.done()
        waiting.set()
        assert await under_way
        idle.set()
        await asyncio.wait_for(stopping, LIMIT_S)


async def test_watches_do_not_hold_it_and_what_outlasts_the_grace_is_cut(transport_name: str) -> None:
    async with served(transport_name) as running, running.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        hanging = method(channel, HANG)(b"", timeout=LIMIT_S)
        await until(lambda: running.scripted.begun == 1)
        running.scripted.going_on = asyncio.Event()

        await asyncio.wait_for(running.stop(grace_s=0.1, idle=asyncio.Event()), LIMIT_S)

        await until(lambda: running.scripted.cancelled == 1)
        with pytest.raises(grpc.aio.AioRpcError):
            await hanging
        assert await watch.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


async def test_servers_share_a_port_and_one_goes_on_when_the_other_stops(transport_name: str) -> None:
    async with served(transport_name) as first, served(transport_name, port=first.port) as second:
        channels = [first.channel() for _ in range(40)]
        for channel in channels:
            await method(channel, ECHO)(b"", timeout=LIMIT_S)
        assert first.scripted.begun > 0
        assert second.scripted.begun > 0
        assert first.scripted.begun + second.scripted.begun == 40

        await first.stop()
        before = second.scripted.begun
        for channel in channels:
            await method(channel, ECHO)(b"", timeout=LIMIT_S, wait_for_ready=True)
            await channel.close()
        assert second.scripted.begun == before + 40


async def test_a_port_that_another_has_for_itself_is_not_served(transport_name: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(RuntimeError):
        async with served(transport_name, port=taken.getsockname()[1]):
            pass


def test_a_grace_that_ends_as_the_server_becomes_idle_does_not_kill_the_process(transport_name: str) -> None:
    process = fork_server().Process(target=_stop_often, args=(transport_name,), daemon=True)
    process.start()
    process.join(LIMIT_S)
    assert process.exitcode == 0


def _stop_often(transport_name: str) -> None:
    asyncio.run(_stops(transport_name))


async def _stops(transport_name: str) -> None:
    """Stops servers with a call under way; each becomes idle some turns of the loop before its grace ends."""
    for turns in [*range(6)] * 4:
        async with served(transport_name) as running, running.channel() as channel:
            hanging = asyncio.ensure_future(method(channel, HANG)(b"", timeout=LIMIT_S))
            await until(lambda running=running: running.scripted.begun == 1)  # type: ignore[misc]
            running.scripted.going_on = asyncio.Event()
            await running.transport.stop(_GRACE_S, idle=partial(_stall, turns))
            await asyncio.wait({hanging})


async def _stall(turns: int) -> None:
    """Holds the loop until the grace has ended, and then until the server's own thread has said what it has to say."""
    loop = asyncio.get_running_loop()

    def turn(count: int) -> None:
        if count == turns:
            time.sleep(2 * _GRACE_S)
        elif count == turns + 1:
            time.sleep(0.01)
        if count <= turns:
            loop.call_soon(turn, count + 1)

    await asyncio.sleep(_GRACE_S / 2)
    loop.call_soon(turn, 0)
