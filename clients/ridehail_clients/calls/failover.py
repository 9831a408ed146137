"""Channels to several servers that fall back on those that report themselves as not serving.

A server that is about to stop says so while it still takes calls. When all others are away as well, such as in a
rolling restart, it is the best there is. Where no server has been healthy yet, they are all about to start, and get no
calls.
"""

# ruff: noqa: FBT001, FBT002  # the methods are those of gRPC's channels

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from ridehail_clients.calls.breakers import Breakers

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)
Serializer = Callable[[Any], bytes]  # of gRPC's own interface
Deserializer = Callable[[bytes], Any]


class AsyncFailoverChannel(grpc.aio.Channel):
    """A channel whose unary methods exist on a second one as well.

    Args:
        healthy: Gives no call to servers that report themselves as not serving.
        connected: Gives calls to all servers that it has a connection to. Both share the connections.
        breakers: Of the methods, or None for none.

    Attributes:
        last_resort: The unary methods of `connected`, by path.
        breakers: Of the methods, or None for none.
        has_served: Whether a server has responded to a call; set by who makes the calls.
    """

    def __init__(self, healthy: grpc.aio.Channel, connected: grpc.aio.Channel, breakers: Breakers | None) -> None:
        self._healthy = healthy
        self._connected = connected
        self.breakers = breakers
        self.last_resort: dict[str, grpc.aio.UnaryUnaryMultiCallable[Any, Any]] = {}
        self.has_served = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        if self.breakers is not None:
            self.breakers.close()
        await asyncio.gather(self._healthy.close(grace), self._connected.close(grace))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._healthy.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._healthy.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._healthy.channel_ready()

    def unary_unary(
        self,
        method: str,
        request_serializer: Serializer | None = None,
        response_deserializer: Deserializer | None = None,
        _registered_method: bool = False,
    ) -> grpc.aio.UnaryUnaryMultiCallable[Any, Any]:
        self.last_resort[method] = self._connected.unary_unary(method, request_serializer, response_deserializer)
        return self._healthy.unary_unary(method, request_serializer, response_deserializer)

    def unary_stream(self, *args: Any, **kwargs: Any) -> grpc.aio.UnaryStreamMultiCallable[Any, Any]:
        return self._healthy.unary_stream(*args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> grpc.aio.StreamUnaryMultiCallable[Any, Any]:
        return self._healthy.stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> grpc.aio.StreamStreamMultiCallable[Any, Any]:
        return self._healthy.stream_stream(*args, **kwargs)


class SyncFailoverChannel(grpc.Channel):
    """The same for blocking clients, without breakers, which are for the callers of an event loop."""

    breakers: Breakers | None = None

    def __init__(self, healthy: grpc.Channel, connected: grpc.Channel) -> None:
        self._healthy = healthy
        self._connected = connected
        self.last_resort: dict[str, grpc.UnaryUnaryMultiCallable[Any, Any]] = {}
        self.has_served = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._healthy.close()
        self._connected.close()

    def subscribe(self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False) -> None:
        self._healthy.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        self._healthy.unsubscribe(callback)

    def unary_unary(
        self,
        method: str,
        request_serializer: Serializer | None = None,
        response_deserializer: Deserializer | None = None,
        _registered_method: bool = False,
    ) -> grpc.UnaryUnaryMultiCallable[Any, Any]:
        self.last_resort[method] = self._connected.unary_unary(method, request_serializer, response_deserializer)
        return self._healthy.unary_unary(method, request_serializer, response_deserializer)

    def unary_stream(self, *args: Any, **kwargs: Any) -> grpc.UnaryStreamMultiCallable[Any, Any]:
        return self._healthy.unary_stream(*args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> grpc.StreamUnaryMultiCallable[Any, Any]:
        return self._healthy.stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> grpc.StreamStreamMultiCallable[Any, Any]:
        return self._healthy.stream_stream(*args, **kwargs)
