"""How the clients connect."""

from __future__ import annotations

import json
from functools import cache
from importlib import metadata
from typing import Final

import grpc
import grpc.aio

AsyncChannel = grpc.aio.Channel
SyncChannel = grpc.Channel
AsyncUnaryMethod = grpc.aio.UnaryUnaryMultiCallable
SyncUnaryMethod = grpc.UnaryUnaryMultiCallable

ChannelOptions = list[tuple[str, str | int]]

_MESSAGE_LIMIT_BYTES: Final = 4 * 1024 * 1024
# A server with gRPC's own settings hangs up on a client that pings more often than every five minutes.
_KEEPALIVE_MS: Final = 330_000
_KEEPALIVE_TIMEOUT_MS: Final = 10_000
_FIRST_RECONNECT_MS: Final = 100
_LAST_RECONNECT_MS: Final = 5_000


def channel_options(*, health_check: bool) -> ChannelOptions:
    """Returns the options of a channel.

    Calls are spread over all addresses of the target.

    Args:
        health_check: True: a server that reports itself as not serving gets no calls; one without the standard health
            service counts as healthy. False for the gateway, which does not pass health checks on.
    """
    service_config: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if health_check:
        service_config["healthCheckConfig"] = {"serviceName": ""}
    return [
        ("grpc.primary_user_agent", f"ridehail-clients/{version()}"),
        ("grpc.service_config", json.dumps(service_config)),
        # `retry` alone decides about repeats: two layers would multiply the attempts.
        ("grpc.enable_retries", 0),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT_BYTES),
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT_BYTES),
        # The timeout is also the kernel's for bytes that are not acknowledged (TCP_USER_TIMEOUT): a peer that vanished
        # without a word costs the calls of ten seconds instead of a quarter of an hour.
        ("grpc.keepalive_time_ms", _KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEPALIVE_TIMEOUT_MS),
        # gRPC's own first pause is a second, as long as most calls may take: none would outlast a restart.
        ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _LAST_RECONNECT_MS),
    ]


def open_async_channel(
    target: str, *, credentials: grpc.ChannelCredentials | None = None, health_check: bool = True
) -> AsyncChannel:
    """Opens a channel for the asyncio clients; call it on the event loop that will use it.

    Args:
        target: As gRPC takes it: `host:port`, `dns:///name:port`, `unix:path`.
        credentials: For TLS; None: plain text.
        health_check: See `channel_options`.
    """
    options = channel_options(health_check=health_check)
    if credentials is None:
        return grpc.aio.insecure_channel(target, options)
    return grpc.aio.secure_channel(target, credentials, options)


def open_sync_channel(
    target: str, *, credentials: grpc.ChannelCredentials | None = None, health_check: bool = True
) -> SyncChannel:
    """Opens a channel for the blocking clients.

    Args:
        target: As gRPC takes it: `host:port`, `dns:///name:port`, `unix:path`.
        credentials: For TLS; None: plain text.
        health_check: See `channel_options`.
    """
    options = channel_options(health_check=health_check)
    if credentials is None:
        return grpc.insecure_channel(target, options)
    return grpc.secure_channel(target, credentials, options)


@cache
def version() -> str:
    """Returns the version of the installed distribution; `unknown` when the sources are used without installing."""
    try:
        return metadata.version("ridehail")
    except metadata.PackageNotFoundError:
        return "unknown"
