"""A real gRPC server of all services, whose replies a test writes and whose calls a test reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, TypeVar, cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.eulas.v1 import admin_eulas_api_pb2 as admin_eulas
from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.family.v1 import family_api_pb2 as family
from ridehail.inapp.v1 import inapp_api_pb2 as inapp
from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.orderprovider.v1 import order_provider_api_pb2 as order_provider
from ridehail.orderstate.v1 import order_state_api_pb2 as order_state
from ridehail.protocol.v1 import protocol_api_pb2 as protocol
from ridehail.routesharing.v1 import route_sharing_api_pb2 as route_sharing
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail.userdata.v1 import user_data_api_pb2 as user_data
from ridehail.userstate.v1 import user_state_api_pb2 as user_state

Response = TypeVar("Response", bound=Message)
# The reply to one attempt; None means the empty response.
Reply: TypeAlias = Callable[[grpc.ServicerContext], Message | None]
# A reply that depends on the request.
Behaviour: TypeAlias = Callable[[Any, grpc.ServicerContext], Message | None]


@dataclass(frozen=True)
class Received:
    """One attempt, as it reached the server."""

    rpc: str
    request: Message
    metadata: dict[str, str | bytes]
    time_remaining: float
    at: float


@dataclass
class ScriptedServer:
    """Replies to attempts in the order of `replies`, repeating the last one; or by `behaviour`, if it is set."""

    target: str = ""
    replies: list[Reply] = field(default_factory=lambda: [reply()])
    behaviour: Behaviour | None = None
    received: list[Received] = field(default_factory=list)
    first_received: threading.Event = field(default_factory=threading.Event)
    hanging_ended: threading.Event = field(default_factory=threading.Event)
    # Its watches that do not block send under its lock, and wait for ever for a client that goes meanwhile.
    health: health.HealthServicer = field(
        default_factory=partial(health.HealthServicer, experimental_non_blocking=False)
    )

    def reset(self) -> None:
        """Forgets scripts and calls; health stays."""
        self.replies, self.behaviour = [reply()], None
        self.received = []
        self.first_received, self.hanging_ended = threading.Event(), threading.Event()

    def script(self, *replies: Reply) -> None:
        """Sets the replies."""
        self.replies = list(replies)

    def hang(self, context: grpc.ServicerContext) -> None:
        """A reply that never comes; `hanging_ended` is set when the caller gives up."""
        gone = threading.Event()
        if context.add_callback(gone.set):
            gone.wait(30)
        self.hanging_ended.set()

    def play(self, request: Message, context: grpc.ServicerContext, empty: Response) -> Response:
        """Receives one attempt and replies it."""
        self.received.append(
            Received(
                rpc=type(request).__name__.removesuffix("Request"),
                request=request,
                metadata={key: value for key, value in _pairs(context.invocation_metadata())},  # noqa: C416
                time_remaining=context.time_remaining(),
                at=time.monotonic(),
            )
        )
        response = self.replies[min(len(self.received), len(self.replies)) - 1]
        self.first_received.set()
        if self.behaviour is not None:
            return cast("Response", self.behaviour(request, context) or empty)
        return cast("Response", response(context) or empty)


def _pairs(metadata: Any) -> Sequence[tuple[str, str | bytes]]:  # the type information has no pairs
    return cast("Sequence[tuple[str, str | bytes]]", metadata)


def reply(message: Message | None = None) -> Reply:
    """A reply that succeeds."""
    return lambda _context: message


def fail(code: grpc.StatusCode, *details: Message, message: str = "scripted", request_id: str = "") -> Reply:
    """A reply that fails with a status and its details."""
    status = Status(code=code.value[0], message=message)
    for detail in details:
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)

    trailing: list[tuple[str, str | bytes]] = []
    if details:
        trailing.append(("grpc-status-details-bin", status.SerializeToString()))
    if request_id:
        trailing.append(("x-request-id", request_id))

    def response(context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata(tuple(trailing))
        context.abort(code, message)

    return response


def info(reason: str, domain: str = "ridehail", **metadata: str) -> ErrorInfo:
    """The detail that names the reason."""
    return ErrorInfo(reason=reason, domain=domain, metadata=metadata)


def retry_after(seconds: float) -> RetryInfo:
    """The detail that asks the caller to come back."""
    delay = Duration()
    delay.FromNanoseconds(round(seconds * 1e9))
    return RetryInfo(retry_delay=delay)


def violation(field: str, description: str, reason: str) -> BadRequest:
    """The detail that names a broken rule."""
    return BadRequest(field_violations=[BadRequest.FieldViolation(field=field, description=description, reason=reason)])


_FILES = (
    api_proxy,
    admin_eulas,
    eulas,
    family,
    inapp,
    order_core,
    order_provider,
    order_state,
    protocol,
    user_data,
    route_sharing,
    toll_roads,
    user_state,
)


def _handlers(scripted: ScriptedServer, service: ServiceDescriptor) -> grpc.GenericRpcHandler:
    def handler(method: MethodDescriptor) -> grpc.RpcMethodHandler[Message, Message]:
        request, response = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        return grpc.unary_unary_rpc_method_handler(
            lambda message, context: scripted.play(message, context, response()),
            request_deserializer=request.FromString,
            response_serializer=response.SerializeToString,
        )

    return grpc.method_handlers_generic_handler(
        service.full_name, {method.name: handler(method) for method in service.methods}
    )


@contextmanager
def running_server(scripted: ScriptedServer | None = None, *, with_health: bool = True) -> Iterator[ScriptedServer]:
    """Runs a server on a free port."""
    scripted = ScriptedServer() if scripted is None else scripted
    server = grpc.server(futures.ThreadPoolExecutor(64))  # each watch takes a thread
    services = [service for file in _FILES for service in file.DESCRIPTOR.services_by_name.values()]
    server.add_generic_rpc_handlers(tuple(_handlers(scripted, service) for service in services))
    if with_health:
        health_pb2_grpc.add_HealthServicer_to_server(scripted.health, server)
        scripted.health.set("", health_pb2.HealthCheckResponse.SERVING)
    scripted.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield scripted
    finally:
        server.stop(None).wait()
