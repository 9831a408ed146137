"""gRPC's own server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import grpc

from ridehail_servers.chassis.settings import ServerTuning

from .base import MethodHandlers, RpcHandler, Transport
from .limits import KEEPALIVE_MS, KEEPALIVE_TIMEOUT_MS, MAX_METADATA_BYTES

_CONNECTION_AGE_S = 600.0
_CONNECTION_AGE_GRACE_MS = 30_000
_NEVER_S = 1e9
# The client library pings every second.
_LEAST_PING_INTERVAL_MS = 500


class GrpcioTransport(Transport):
    def __init__(self, tuning: ServerTuning, credentials: grpc.ServerCredentials | None = None) -> None:
        """Creates a server; without credentials it serves plain text."""
        self._server = grpc.aio.server(options=options(tuning))
        self._credentials = credentials

    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        self._server.add_generic_rpc_handlers(tuple(handlers))

    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, RpcHandler]) -> None:
        self._server.add_registered_method_handlers(service, dict(handlers))

    async def start(self, address: str, handlers: MethodHandlers) -> int:
        if self._credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, self._credentials)
        self._server.add_generic_rpc_handlers((handlers,))
        await self._server.start()
        return port

    async def stop(self, grace_s: float, *, idle: Callable[[], Awaitable[object]]) -> None:
        # A grace of grpc.aio's own that runs out as another `stop` frees the server kills the process.
        stopping = asyncio.create_task(self._server.stop(_NEVER_S))
        waiting = asyncio.ensure_future(idle())
        await asyncio.wait({stopping, waiting}, timeout=grace_s, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await self._server.stop(None)
        await stopping


def options(tuning: ServerTuning) -> list[tuple[str, int]]:
    age_s = _CONNECTION_AGE_S if tuning.max_connection_age_s is None else tuning.max_connection_age_s
    return [
        ("grpc.so_reuseport", 1),
        ("grpc.enable_channelz", 0),
        ("grpc.max_receive_message_length", tuning.max_message_bytes),
        ("grpc.max_send_message_length", tuning.max_message_bytes),
        # From the first number on gRPC refuses a part of the calls, above the second all.
        ("grpc.max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.absolute_max_metadata_size", MAX_METADATA_BYTES),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _LEAST_PING_INTERVAL_MS),
        # A server that was stalled reads the pings of all that time at once.
        ("grpc.http2.max_ping_strikes", 0),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.max_connection_age_ms", int(age_s * 1000)),
        ("grpc.max_connection_age_grace_ms", _CONNECTION_AGE_GRACE_MS),
    ]
