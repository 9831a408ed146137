"""A transport that stops lets calls under way end, and accepts no more."""

from __future__ import annotations

import asyncio
import socket

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.chassis.transport.served import ECHO, HANG, served
from tests.chassis.transport.test_calls import method
from tests.support.waiting import LIMIT_S, until


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
