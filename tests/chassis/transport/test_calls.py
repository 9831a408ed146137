"""Calls go the same way through every transport."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from google.protobuf.wrappers_pb2 import BytesValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from ridehail_clients import open_async_channel
from tests.chassis.transport import frames
from tests.chassis.transport.served import DETAILS, ECHO, FAIL, GROW, HANG, REASON, REFUSE, WAIT, Served
from tests.support.waiting import LIMIT_S, until


def method(channel: grpc.aio.Channel, path: str) -> Any:
    return channel.unary_unary(path, response_deserializer=lambda encoded: BytesValue.FromString(encoded).value)


async def failure(running: Served, path: str, request: bytes = b"", **how: Any) -> grpc.aio.AioRpcError:
    async with running.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await method(channel, path)(request, **{"timeout": LIMIT_S, **how})
    return failed.value


def trailers(error: grpc.aio.AioRpcError) -> dict[str, str | bytes]:
    """Returns the trailing metadata; of an error, which has no body, native also says that it has none."""
    return {key: value for key, value in error.trailing_metadata() if (key, value) != ("content-length", "0")}


@pytest.mark.parametrize("size", [0, 1, 99_000])
async def test_a_request_and_metadata_of_both_kinds_come_back(running: Served, size: int) -> None:
    sent = (
        ("t-text", "a b, c; d"),
        ("t-text", "again"),
        ("t-empty", ""),
        ("t-bytes-bin", DETAILS),
        ("t-none-bin", b""),
    )
    async with running.channel() as channel:
        call = method(channel, ECHO)(bytes(size), metadata=sent, timeout=LIMIT_S)
        assert await call == bytes(size)
        assert sorted(await call.trailing_metadata()) == sorted(sent)


async def test_a_client_may_name_several_servers(running: Served) -> None:
    address = f"127.0.0.1:{running.port}"
    async with open_async_channel(f"ipv4:{address},{address}", health_check=False) as channel:
        assert await method(channel, ECHO)(b"a", timeout=LIMIT_S) == b"a"


@pytest.mark.parametrize("algorithm", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_compressed_request_is_read(running: Served, algorithm: grpc.Compression) -> None:
    async with running.channel() as channel:
        assert await method(channel, ECHO)(b"a" * 50_000, compression=algorithm, timeout=LIMIT_S) == b"a" * 50_000


async def test_an_error_comes_with_its_text_details_and_metadata(running: Served) -> None:
    error = await failure(running, FAIL)
    assert (error.code(), error.details()) == (grpc.StatusCode.NOT_FOUND, REASON)
    assert trailers(error) == {"grpc-status-details-bin": DETAILS, "t-id": "1"}


async def test_an_error_has_its_trailers_in_its_only_headers(running: Served) -> None:
    """The gateway finds there which status of HTTP it is."""
    async with frames.connected(running.port) as connection:
        connection.writer.write(frames.request(FAIL, b"\0\0\0\0\0"))
        async with asyncio.timeout(LIMIT_S):
            async for kind, flags, stream, _payload in connection.frames():
                if stream == 1 and kind in {frames.DATA, frames.HEADERS}:
                    assert (kind, flags & frames.END_STREAM) == (frames.HEADERS, frames.END_STREAM)
                    break


async def test_a_refusal_comes_before_the_request_is_read(running: Served) -> None:
    error = await failure(running, REFUSE, bytes(90_000))
    assert (error.code(), error.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "full")
    assert trailers(error) == {"t-id": "2"}


@pytest.mark.parametrize("path", ["/test.Scripted/None", "/", "/test.Scripted/Echo?a", "/test.Scripted/Echo/", "//"])
async def test_a_path_that_nobody_serves_is_unimplemented(running: Served, path: str) -> None:
    error = await failure(running, path)
    assert (error.code(), error.details()) == (grpc.StatusCode.UNIMPLEMENTED, "Method not found!")
    assert running.scripted.begun == 0


@pytest.mark.parametrize("algorithm", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
async def test_a_request_above_the_limit_is_refused_however_small_it_arrives(
    running: Served, algorithm: grpc.Compression
) -> None:
    error = await failure(running, ECHO, bytes(100_001), compression=algorithm)
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert running.scripted.begun == 0


async def test_a_response_may_be_as_large_as_a_request(running: Served) -> None:
    async with running.channel() as channel:
        assert len(await method(channel, GROW)(b"99000", timeout=LIMIT_S)) == 99_000


async def test_a_client_that_cancels_ends_its_handler(running: Served) -> None:
    async with running.channel() as channel:
        call = method(channel, HANG)(b"", timeout=LIMIT_S)
        await until(lambda: running.scripted.begun == 1)
        call.cancel()
        await until(lambda: running.scripted.cancelled == 1)


async def test_a_deadline_ends_the_handler_and_is_known_to_it(running: Served) -> None:
    error = await failure(running, HANG, timeout=0.2)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await until(lambda: running.scripted.under_way == 0)

    async with running.channel() as channel:
        call = method(channel, HANG)(b"", timeout=LIMIT_S)
        running.scripted.going_on.set()
        assert LIMIT_S * 900 < int(await call) < LIMIT_S * 1100  # gRPC rounds up


async def test_calls_that_end_by_their_deadlines_leave_others_of_their_connection_alone(running: Served) -> None:
    async with running.channel() as channel:
        other = asyncio.ensure_future(method(channel, HANG)(b"", timeout=LIMIT_S))
        for _ in range(6):
            waiting = (method(channel, WAIT)(b"", timeout=0.25) for _ in range(50))
            for error in await asyncio.gather(*waiting, return_exceptions=True):
                assert isinstance(error, grpc.aio.AioRpcError)
                assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert not other.done()
        running.scripted.going_on.set()
        await other


async def test_a_peer_that_vanishes_ends_its_handlers(running: Served) -> None:
    channel = running.channel()
    calls = [method(channel, HANG)(b"", timeout=LIMIT_S) for _ in range(3)]
    await until(lambda: running.scripted.begun == 3)
    await channel.close()
    await until(lambda: running.scripted.cancelled == 3)
    assert all(call.done() for call in calls)


async def test_many_calls_on_one_connection_wait_for_nobody(running: Served) -> None:
    async with running.channel() as channel:
        hanging = [asyncio.ensure_future(method(channel, HANG)(b"", timeout=LIMIT_S)) for _ in range(300)]
        await until(lambda: running.scripted.begun == 300)
        assert await method(channel, ECHO)(b"quick", timeout=LIMIT_S) == b"quick"
        running.scripted.going_on.set()
        await asyncio.gather(*hanging)


async def test_health_is_checked_and_watched(running: Served) -> None:
    async with running.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        request = health_pb2.HealthCheckRequest(service="test.Scripted")
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as unknown:
            await stub.Check(health_pb2.HealthCheckRequest(service="none"))
        assert unknown.value.code() == grpc.StatusCode.NOT_FOUND

        watch = stub.Watch(request)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        statuses = running.health._statuses
        for status in (health_pb2.HealthCheckResponse.NOT_SERVING, health_pb2.HealthCheckResponse.SERVING):
            statuses.set("test.Scripted", status)
            assert (await watch.read()).status == status
        watch.cancel()

        timed = stub.Watch(request, timeout=0.2)
        assert (await timed.read()).status == health_pb2.HealthCheckResponse.SERVING
        assert await timed.code() == grpc.StatusCode.DEADLINE_EXCEEDED


async def test_reflection_lists_the_services(running: Served) -> None:
    async with running.channel() as channel:
        call = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        for _ in range(2):
            await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
            (service,) = (await call.read()).list_services_response.service
            assert service.name == "test.Scripted"
        await call.done_writing()
        assert await call.code() == grpc.StatusCode.OK
