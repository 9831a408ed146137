"""What every transport does."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, TypeAlias

import grpc

RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class MethodHandlers(grpc.GenericRpcHandler):
    """Handlers of unary methods, of which `service` chooses one anew for every call.

    One that refuses may be one of streams, which neither reads nor writes.
    """

    @property
    @abc.abstractmethod
    def paths(self) -> Collection[str]:
        """Of the methods, each `/package.Service/Method`."""


class Transport(abc.ABC):
    """Serves handlers on one port."""

    @abc.abstractmethod
    def add_generic_rpc_handlers(self, handlers: Sequence[grpc.GenericRpcHandler]) -> None:
        """Registers handlers, as generated code does before the start."""

    @abc.abstractmethod
    def add_registered_method_handlers(self, service: str, handlers: Mapping[str, RpcHandler]) -> None:
        """Registers the same handlers, which generated code names by method here."""

    @abc.abstractmethod
    async def start(self, address: str, handlers: MethodHandlers) -> int:
        """Starts to serve these handlers and those registered; returns the port.

        Raises:
            RuntimeError: The address cannot be listened on.
        """

    @abc.abstractmethod
    async def stop(self, grace_s: float, *, idle: Callable[[], Awaitable[object]]) -> None:
        """Accepts no more calls; cuts those under way once `idle` returns, or after `grace_s` at the latest.

        Calls that never end, such as watches of health, do not keep `idle` from returning. Every handler has ended
        when this returns, but for those of `grpcio` that clean up.
        """
