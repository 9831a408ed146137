"""A real gRPC server of all services, whose answers a test writes and whose calls a test reads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_proxy_grpc
from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.eulas.v1 import eulas_api_pb2_grpc as eulas_grpc
from ridehail.family.v1 import family_api_pb2 as family
from ridehail.inapp.v1 import inapp_api_pb2 as inapp
from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.ordercore.v1 import order_core_api_pb2_grpc as order_core_grpc
from ridehail.orderprovider.v1 import order_provider_api_pb2 as order_provider
from ridehail.orderstate.v1 import order_state_api_pb2 as order_state
from ridehail.protocol.v1 import protocol_api_pb2 as protocol
from ridehail.routesharing.v1 import route_sharing_api_pb2 as route_sharing
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as toll_roads_grpc
from ridehail.userstate.v1 import user_state_api_pb2 as user_state

Response = TypeVar("Response", bound=Message)
# What one attempt is answered; None means the empty answer.
Answer: TypeAlias = Callable[[grpc.ServicerContext], Message | None]
# An answer that depends on what is asked.
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
    """Answers the attempts in the order of `answers`, the last one being repeated; or by `behaviour`, if it is set."""

    target: str = ""
    answers: list[Answer] = field(default_factory=lambda: [reply()])
    behaviour: Behaviour | None = None
    received: list[Received] = field(default_factory=list)
    first_received: threading.Event = field(default_factory=threading.Event)
    hanging_ended: threading.Event = field(default_factory=threading.Event)
    health: health.HealthServicer = field(default_factory=health.HealthServicer)

    def script(self, *answers: Answer) -> None:
        """Sets the answers."""
        self.answers = list(answers)

    def hang(self, context: grpc.ServicerContext) -> None:
        """An answer that never comes; `hanging_ended` is set when the caller gives up."""
        gone = threading.Event()
        if context.add_callback(gone.set):
            gone.wait(30)
        self.hanging_ended.set()

    def play(self, request: Message, context: grpc.ServicerContext, empty: Response) -> Response:
        """Receives one attempt and answers it."""
        self.received.append(
            Received(
                rpc=type(request).__name__.removesuffix("Request"),
                request=request,
                metadata={key: value for key, value in _pairs(context.invocation_metadata())},  # noqa: C416
                time_remaining=context.time_remaining(),
                at=time.monotonic(),
            )
        )
        answer = self.answers[min(len(self.received), len(self.answers)) - 1]
        self.first_received.set()
        if self.behaviour is not None:
            return cast("Response", self.behaviour(request, context) or empty)
        return cast("Response", answer(context) or empty)


def _pairs(metadata: Any) -> Sequence[tuple[str, str | bytes]]:  # the type information has no pairs
    return cast("Sequence[tuple[str, str | bytes]]", metadata)


def reply(message: Message | None = None) -> Answer:
    """An answer that succeeds."""
    return lambda _context: message


def fail(code: grpc.StatusCode, *details: Message, message: str = "scripted", request_id: str = "") -> Answer:
    """An answer that fails with a status and its details."""
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

    def answer(context: grpc.ServicerContext) -> None:
        context.set_trailing_metadata(tuple(trailing))
        context.abort(code, message)

    return answer


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


class TollRoads(toll_roads_grpc.TollRoadsServiceServicer):
    """Toll roads by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def SaveOffer(
        self, request: toll_roads.SaveOfferRequest, context: grpc.ServicerContext
    ) -> toll_roads.SaveOfferResponse:
        return self._server.play(request, context, toll_roads.SaveOfferResponse())

    def RetrieveOrder(
        self, request: toll_roads.RetrieveOrderRequest, context: grpc.ServicerContext
    ) -> toll_roads.RetrieveOrderResponse:
        return self._server.play(request, context, toll_roads.RetrieveOrderResponse())

    def BatchRetrieveOrders(
        self, request: toll_roads.BatchRetrieveOrdersRequest, context: grpc.ServicerContext
    ) -> toll_roads.BatchRetrieveOrdersResponse:
        return self._server.play(request, context, toll_roads.BatchRetrieveOrdersResponse())

    def EnqueueOrderSave(
        self, request: toll_roads.EnqueueOrderSaveRequest, context: grpc.ServicerContext
    ) -> toll_roads.EnqueueOrderSaveResponse:
        return self._server.play(request, context, toll_roads.EnqueueOrderSaveResponse())


class PassengerTollRoads(toll_roads_grpc.PassengerTollRoadsServiceServicer):
    """Passengers' toll roads by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def SwitchRoad(
        self, request: toll_roads.SwitchRoadRequest, context: grpc.ServicerContext
    ) -> toll_roads.SwitchRoadResponse:
        return self._server.play(request, context, toll_roads.SwitchRoadResponse())


class OrderCore(order_core_grpc.OrderCoreServiceServicer):
    """Order core by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def PutOrder(
        self, request: order_core.PutOrderRequest, context: grpc.ServicerContext
    ) -> order_core.PutOrderResponse:
        return self._server.play(request, context, order_core.PutOrderResponse())

    def GetOrderFields(
        self, request: order_core.GetOrderFieldsRequest, context: grpc.ServicerContext
    ) -> order_core.GetOrderFieldsResponse:
        return self._server.play(request, context, order_core.GetOrderFieldsResponse())

    def SetOrderFields(
        self, request: order_core.SetOrderFieldsRequest, context: grpc.ServicerContext
    ) -> order_core.SetOrderFieldsResponse:
        return self._server.play(request, context, order_core.SetOrderFieldsResponse())

    def GetOrderInfo(
        self, request: order_core.GetOrderInfoRequest, context: grpc.ServicerContext
    ) -> order_core.GetOrderInfoResponse:
        return self._server.play(request, context, order_core.GetOrderInfoResponse())

    def ListActiveOrders(
        self, request: order_core.ListActiveOrdersRequest, context: grpc.ServicerContext
    ) -> order_core.ListActiveOrdersResponse:
        return self._server.play(request, context, order_core.ListActiveOrdersResponse())


class Eulas(eulas_grpc.EulasServiceServicer):
    """Eulas by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def ListEulas(self, request: eulas.ListEulasRequest, context: grpc.ServicerContext) -> eulas.ListEulasResponse:
        return self._server.play(request, context, eulas.ListEulasResponse())

    def SaveEulas(self, request: eulas.SaveEulasRequest, context: grpc.ServicerContext) -> eulas.SaveEulasResponse:
        return self._server.play(request, context, eulas.SaveEulasResponse())

    def CheckEulas(self, request: eulas.CheckEulasRequest, context: grpc.ServicerContext) -> eulas.CheckEulasResponse:
        return self._server.play(request, context, eulas.CheckEulasResponse())


class PassengerEulas(eulas_grpc.PassengerEulasServiceServicer):
    """Passengers' eulas by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def ListEulas(
        self, request: eulas.PassengerEulasServiceListEulasRequest, context: grpc.ServicerContext
    ) -> eulas.PassengerEulasServiceListEulasResponse:
        return self._server.play(request, context, eulas.PassengerEulasServiceListEulasResponse())

    def SaveEulas(
        self, request: eulas.PassengerEulasServiceSaveEulasRequest, context: grpc.ServicerContext
    ) -> eulas.PassengerEulasServiceSaveEulasResponse:
        return self._server.play(request, context, eulas.PassengerEulasServiceSaveEulasResponse())


class Routestats(api_proxy_grpc.RoutestatsServiceServicer):
    """Routestats by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def GetRouteStats(
        self, request: api_proxy.GetRouteStatsRequest, context: grpc.ServicerContext
    ) -> api_proxy.GetRouteStatsResponse:
        return self._server.play(request, context, api_proxy.GetRouteStatsResponse())


class ZoneInfo(api_proxy_grpc.ZoneInfoServiceServicer):
    """Zone info by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def GetZoneInfo(
        self, request: api_proxy.GetZoneInfoRequest, context: grpc.ServicerContext
    ) -> api_proxy.GetZoneInfoResponse:
        return self._server.play(request, context, api_proxy.GetZoneInfoResponse())


# Services whose methods all do the same: what comes is recorded, and the script answers.
_PLAIN_SERVICES = (
    family.DESCRIPTOR.services_by_name["FamilyService"],
    route_sharing.DESCRIPTOR.services_by_name["RouteSharingService"],
    route_sharing.DESCRIPTOR.services_by_name["PassengerRouteSharingService"],
    inapp.DESCRIPTOR.services_by_name["InappCommunicationsService"],
    api_proxy.DESCRIPTOR.services_by_name["LaunchService"],
    api_proxy.DESCRIPTOR.services_by_name["PersonalStateService"],
    api_proxy.DESCRIPTOR.services_by_name["TaxiOnTheWayService"],
    order_provider.DESCRIPTOR.services_by_name["OrderProviderService"],
    order_state.DESCRIPTOR.services_by_name["OrderStateService"],
    order_state.DESCRIPTOR.services_by_name["PassengerOrderStateService"],
    protocol.DESCRIPTOR.services_by_name["ProtocolService"],
    user_state.DESCRIPTOR.services_by_name["UserStateService"],
)


def _plain_handlers(scripted: ScriptedServer, service: ServiceDescriptor) -> grpc.GenericRpcHandler:
    def handler(method: MethodDescriptor) -> grpc.RpcMethodHandler[Message, Message]:
        request, answer = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        return grpc.unary_unary_rpc_method_handler(
            lambda message, context: scripted.play(message, context, answer()),
            request_deserializer=request.FromString,
            response_serializer=answer.SerializeToString,
        )

    return grpc.method_handlers_generic_handler(
        service.full_name, {method.name: handler(method) for method in service.methods}
    )


@contextmanager
def running_server(*, with_health: bool = True) -> Iterator[ScriptedServer]:
    """Runs a server on a free port."""
    scripted = ScriptedServer()
    server = grpc.server(futures.ThreadPoolExecutor(16))
    toll_roads_grpc.add_TollRoadsServiceServicer_to_server(TollRoads(scripted), server)
    toll_roads_grpc.add_PassengerTollRoadsServiceServicer_to_server(PassengerTollRoads(scripted), server)
    order_core_grpc.add_OrderCoreServiceServicer_to_server(OrderCore(scripted), server)
    eulas_grpc.add_EulasServiceServicer_to_server(Eulas(scripted), server)
    eulas_grpc.add_PassengerEulasServiceServicer_to_server(PassengerEulas(scripted), server)
    api_proxy_grpc.add_RoutestatsServiceServicer_to_server(Routestats(scripted), server)
    api_proxy_grpc.add_ZoneInfoServiceServicer_to_server(ZoneInfo(scripted), server)
    server.add_generic_rpc_handlers(tuple(_plain_handlers(scripted, service) for service in _PLAIN_SERVICES))
    if with_health:
        health_pb2_grpc.add_HealthServicer_to_server(scripted.health, server)
        scripted.health.set("", health_pb2.HealthCheckResponse.SERVING)
    scripted.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield scripted
    finally:
        server.stop(None).wait()
