"""A call on its way to its handler, and what a layer of the way is."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import grpc

from ridehail_servers.chassis.methods import ServedMethod

# Requests and responses are messages of any type.
Request = Any
Response = Any
Context = grpc.aio.ServicerContext[Any, Any]
RpcHandler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Method = Callable[[Request, Context], Awaitable[Response]]


@dataclass(slots=True)
class Call:
    """A call, and what one layer finds out for the next.

    Attributes:
        request: As bytes until it is validated, then the message.
        metadata: The textual metadata; of a repeated key the last value.
        seconds: How long it may take, by its caller and by the contract.
        caller: The calling service, once its ticket is verified.
        status: The name of the status code.
        reason: Of the error, if it fails.
    """

    served: ServedMethod
    method: Method
    context: Context
    request: Request
    metadata: dict[str, str]
    seconds: float
    caller: str = ""
    status: str = "OK"
    reason: str = ""


Handler = Callable[[Call], Awaitable[Response]]


class Layer(abc.ABC):
    """Something that is done around every call."""

    @abc.abstractmethod
    async def around(self, call: Call, inner: Handler) -> Response:
        """Does something before, after or instead of the rest of the call, which `inner` does."""


def layered(layers: tuple[Layer, ...]) -> Handler:
    """Returns a handler that takes a call through all layers, outermost first, to its method."""
    handler: Handler = _to_the_method
    for layer in reversed(layers):
        handler = _around(layer, handler)
    return handler


def _around(layer: Layer, inner: Handler) -> Handler:
    return partial(layer.around, inner=inner)


def _to_the_method(call: Call) -> Awaitable[Response]:
    return call.method(call.request, call.context)
