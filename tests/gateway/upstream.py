"""A real gRPC server behind the gateway: records every call and responds as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import any_pb2, message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ridehail_servers.chassis.settings import ServerTuning
from ridehail_servers.chassis.transport import grpcio

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class Call:
    """A call that arrived."""

    method: str
    metadata: tuple[tuple[str, str | bytes], ...]
    request: Message
    response_type: type[Message]

    def header(self, name: str) -> str | bytes | None:
        """Returns the only value of a key, or None without one."""
        values = [value for key, value in self.metadata if key == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None


Handler = Callable[[Call, Context], Awaitable[Message]]


async def empty_response(call: Call, context: Context) -> Message:
    return call.response_type()


def responds(
    message: Message, *, leading: tuple[tuple[str, str], ...] = (), trailing: tuple[tuple[str, str], ...] = ()
) -> Handler:
    """Responds with the message, and metadata before and after it."""

    async def respond(call: Call, context: Context) -> Message:
        await context.send_initial_metadata(leading)
        context.set_trailing_metadata(trailing)
        return message

    return respond


def fails(
    code: grpc.StatusCode,
    message: str,
    *details: Message,
    trailing: tuple[tuple[str, str], ...] = (),
    headers_first: bool = False,
) -> Handler:
    """Fails with a `google.rpc.Status`, as the chassis does.

    Args:
        code: Of the status.
        message: Of the status.
        details: Of the status; none: there is no `grpc-status-details-bin`.
        trailing: More trailing metadata.
        headers_first: Send the response's headers before its trailers, instead of both as one.
    """
    metadata: tuple[tuple[str, str | bytes], ...] = trailing
    if details:
        status = status_pb2.Status(code=code.value[0], message=message)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        metadata += (("grpc-status-details-bin", status.SerializeToString()),)

    async def respond(call: Call, context: Context) -> Message:
        if headers_first:
            await context.send_initial_metadata((("x-early", "1"),))
        await context.abort(code, message, metadata)
        raise AssertionError

    return respond


class Upstream:
    """Records calls, and responds to the next ones."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.handler: Handler = empty_response
        self.address = ""
        self.health = health.aio.HealthServicer()

    def reset(self) -> None:
        self.calls.clear()
        self.handler = empty_response

    @property
    def only_call(self) -> Call:
        """The one call that arrived."""
        (call,) = self.calls
        return call

    def handlers(self, service: ServiceDescriptor) -> grpc.GenericRpcHandler:
        """Returns handlers of all methods of a service."""
        return grpc.method_handlers_generic_handler(
            service.full_name, {method.name: self._handler(method) for method in service.methods}
        )

    def _handler(self, method: MethodDescriptor) -> grpc.RpcMethodHandler[Any, Any]:
        request_type = message_factory.GetMessageClass(method.input_type)
        response_type = message_factory.GetMessageClass(method.output_type)

        async def handle(request: Message, context: Context) -> Message:
            metadata = tuple((key, value) for key, value in context.invocation_metadata() or ())
            call = Call(f"{method.containing_service.full_name}/{method.name}", metadata, request, response_type)
            self.calls.append(call)
            return await self.handler(call, context)

        return grpc.unary_unary_rpc_method_handler(
            handle,
            request_deserializer=request_type.FromString,
            response_serializer=response_type.SerializeToString,
        )


@asynccontextmanager
async def serving(upstream: Upstream, services: Iterable[ServiceDescriptor]) -> AsyncIterator[None]:
    """Serves the services, and health, for the length of the block."""
    as_servers_have_it = [option for option in grpcio.options(ServerTuning()) if "metadata" in option[0]]
    server = grpc.aio.server(
        options=[*as_servers_have_it, ("grpc.max_send_message_length", 16 * 1024**2), ("grpc.so_reuseport", 0)]
    )
    server.add_generic_rpc_handlers(tuple(upstream.handlers(service) for service in services))
    health_pb2_grpc.add_HealthServicer_to_server(upstream.health, server)
    await upstream.health.set("", health_pb2.HealthCheckResponse.SERVING)
    upstream.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield
    finally:
        await server.stop(None)
