"""How the clients connect."""

from __future__ import annotations

import json
from functools import cache
from importlib import metadata
from typing import Final

import grpc
import grpc.aio

from ridehail_clients.calls.breakers import BreakerObserver, Breakers, Ping
from ridehail_clients.calls.failover import AsyncFailoverChannel, SyncFailoverChannel

AsyncChannel = grpc.aio.Channel
SyncChannel = grpc.Channel
AsyncUnaryMethod = grpc.aio.UnaryUnaryMultiCallable
SyncUnaryMethod = grpc.UnaryUnaryMultiCallable

ChannelOptions = list[tuple[str, str | int]]

_MESSAGE_LIMIT_BYTES: Final = 4 * 1024 * 1024
# A gateway with gRPC's own settings hangs up on a client that pings more often than every five minutes.
_GATEWAY_PING_MS: Final = 330_000
_GATEWAY_PING_TIMEOUT_MS: Final = 10_000
# Servers that hang or vanish are found within 2.5 s, and get no calls until they respond. Passengers' networks may
# pause for longer than that.
_SERVER_PING_MS: Final = 1_000
_SERVER_PING_TIMEOUT_MS: Final = 1_500
# Shorter than the kernel's pause before its third attempt: where packets were dropped, it would be waited for.
_CONNECT_TIMEOUT_MS: Final = 2_500
_FIRST_RECONNECT_MS: Final = 100
_LAST_RECONNECT_MS: Final = 300
_PING_TIMEOUT_S: Final = 0.5
_INHIBIT_HEALTH_CHECK: Final = ("grpc.inhibit_health_checking", 1)
_HEALTH_CHECK: Final = "/grpc.health.v1.Health/Check"


def _options(
    target: str, *, is_plain: bool, server_name: str | None, health_check: bool, use_http_proxy: bool
) -> ChannelOptions:
    service_config: dict[str, object] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if health_check:
        service_config["healthCheckConfig"] = {"serviceName": ""}
    ping_ms = _SERVER_PING_MS if health_check else _GATEWAY_PING_MS
    ping_timeout_ms = _SERVER_PING_TIMEOUT_MS if health_check else _GATEWAY_PING_TIMEOUT_MS
    own_name = [] if server_name is None else [("grpc.ssl_target_name_override", server_name)]
    if is_plain and "," in target:
        # gRPC would name the whole list, which is no authority: strict servers refuse such calls.
        own_name.append(("grpc.default_authority", target.partition(":")[2].partition(",")[0]))
    return [
        *own_name,
        ("grpc.primary_user_agent", f"ridehail-clients/{version()}"),
        ("grpc.service_config", json.dumps(service_config)),
        # `retry` alone decides about repeats: two layers would multiply the attempts.
        ("grpc.enable_retries", 0),
        ("grpc.enable_http_proxy", int(use_http_proxy)),
        ("grpc.max_send_message_length", _MESSAGE_LIMIT_BYTES),
        ("grpc.max_receive_message_length", _MESSAGE_LIMIT_BYTES),
        # The timeout is also the kernel's for bytes that are not acknowledged (TCP_USER_TIMEOUT): a peer that vanished
        # without a word costs the calls of seconds instead of a quarter of an hour.
        ("grpc.keepalive_time_ms", ping_ms),
        ("grpc.keepalive_timeout_ms", ping_timeout_ms),
        # gRPC also pings to measure bandwidth, and sends no second ping while one is under way.
        ("grpc.http2.ping_timeout_ms", ping_timeout_ms),
        # gRPC's own first pause is a second, as long as most calls may take: none would outlast a restart.
        ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
        ("grpc.max_reconnect_backoff_ms", _LAST_RECONNECT_MS),
        # In spite of its name, how long connecting may take.
        ("grpc.min_reconnect_backoff_ms", _CONNECT_TIMEOUT_MS),
    ]


def open_async_channel(
    target: str,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    server_name: str | None = None,
    health_check: bool = True,
    use_http_proxy: bool = False,
    breaker_observer: BreakerObserver | None = None,
) -> AsyncChannel:
    """Opens a channel for the asyncio clients; call it on the event loop that will use it.

    Calls are spread over all addresses of the target. With health checks, a repeat of a call that no server took may go
    to servers that report themselves as not serving:
    see `failover`.

    Args:
        target: As gRPC takes it: `host:port`, `dns:///name:port`, `unix:path`.
        credentials: For TLS, or None for plain text.
        server_name: What the server's certificate has to name, such as the service, or None for the target's host.
        health_check: Whether a server that reports itself as not serving gets no calls; one without the standard health
            service counts as healthy. False for the gateway, which does not pass health checks on.
        use_http_proxy: Whether the environment's `http_proxy`, `https_proxy` and `grpc_proxy` are used.
        breaker_observer: Called for every breaker that opens or closes, or None for no breakers. Needs health checks.
    """
    options = _options(
        target,
        is_plain=credentials is None,
        server_name=server_name,
        health_check=health_check,
        use_http_proxy=use_http_proxy,
    )

    def open_one(*more: tuple[str, int]) -> AsyncChannel:
        if credentials is None:
            return grpc.aio.insecure_channel(target, [*options, *more])
        return grpc.aio.secure_channel(target, credentials, [*options, *more])

    if not health_check:
        return open_one()
    connected = open_one(_INHIBIT_HEALTH_CHECK)
    breakers = None if breaker_observer is None else Breakers(_ping_by(connected), breaker_observer)
    return AsyncFailoverChannel(open_one(), connected, breakers)


def open_sync_channel(
    target: str,
    *,
    credentials: grpc.ChannelCredentials | None = None,
    server_name: str | None = None,
    health_check: bool = True,
    use_http_proxy: bool = False,
) -> SyncChannel:
    """Opens a channel for the blocking clients; see `open_async_channel` for the arguments."""
    options = _options(
        target,
        is_plain=credentials is None,
        server_name=server_name,
        health_check=health_check,
        use_http_proxy=use_http_proxy,
    )

    def open_one(*more: tuple[str, int]) -> SyncChannel:
        if credentials is None:
            return grpc.insecure_channel(target, [*options, *more])
        return grpc.secure_channel(target, credentials, [*options, *more])

    if not health_check:
        return open_one()
    return SyncFailoverChannel(open_one(), open_one(_INHIBIT_HEALTH_CHECK))


def _ping_by(channel: AsyncChannel) -> Ping:
    # The empty request and whatever comes back need no generated code, which not every client has installed.
    check: AsyncUnaryMethod[None, bytes] = channel.unary_unary(
        _HEALTH_CHECK, lambda _request: b"", lambda response: response
    )

    async def ping() -> bool:
        try:
            await check(None, timeout=_PING_TIMEOUT_S)
        except grpc.RpcError as error:
            return error.code() not in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
        return True

    return ping


@cache
def version() -> str:
    """Returns the version of the installed distribution; `unknown` when the sources are used without installing."""
    try:
        return metadata.version("ridehail")
    except metadata.PackageNotFoundError:
        return "unknown"
