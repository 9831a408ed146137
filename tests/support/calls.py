"""Raw calls: any method, any bytes, any metadata."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message

from ridehail_clients import DatabaseUnavailable, DeadlineExceeded, Overloaded, ServiceError
from ridehail_clients.calls.error_conversion import service_error
from ridehail_servers import suite

_REPEATS, _PAUSE_S = 3, 0.2

Metadata = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Rpc:
    service: str
    method: MethodDescriptor
    by_gateway_key: bool

    @property
    def name(self) -> str:
        return f"{self.method.containing_service.full_name}/{self.method.name}"

    @property
    def path(self) -> str:
        return f"/{self.name}"


def rpcs() -> Iterator[Rpc]:
    for definition in suite.SERVICES.values():
        for contract in definition.contracts:
            for method in contract.descriptor.methods:
                yield Rpc(definition.name, method, contract.gateway_deadline is not None)


async def call(
    channel: grpc.aio.Channel,
    path: str,
    request: Message | bytes = b"",
    *,
    metadata: Metadata = (),
    timeout: float | None = None,
) -> bytes:
    """Calls a method once and returns the response's bytes.

    Raises:
        ServiceError: As the client library would raise it.
    """
    method: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(path)
    encoded = request if isinstance(request, bytes) else request.SerializeToString()
    try:
        return bytes(await method(encoded, metadata=tuple(metadata), timeout=timeout))
    except grpc.aio.AioRpcError as error:
        raise service_error(error) from None


async def call_patiently(
    channel: grpc.aio.Channel, path: str, request: Message | bytes = b"", *, metadata: Metadata = ()
) -> bytes:
    """Calls a method as `call` does, again where the server does not respond in time, as on a busy machine."""
    for _ in range(_REPEATS):
        try:
            return await call(channel, path, request, metadata=metadata)
        except (DatabaseUnavailable, DeadlineExceeded, Overloaded):
            await asyncio.sleep(_PAUSE_S)
    return await call(channel, path, request, metadata=metadata)


async def failure_of(
    channel: grpc.aio.Channel,
    path: str,
    request: Message | bytes = b"",
    *,
    metadata: Metadata = (),
    timeout: float | None = None,
) -> ServiceError:
    """Returns the error of a call that must fail."""
    try:
        await call(channel, path, request, metadata=metadata, timeout=timeout)
    except ServiceError as error:
        return error
    raise AssertionError(f"{path} succeeded")
