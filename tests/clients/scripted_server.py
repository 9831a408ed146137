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
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_proxy_grpc
from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.eulas.v1 import eulas_api_pb2_grpc as eulas_grpc
from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.ordercore.v1 import order_core_api_pb2_grpc as order_core_grpc
from ridehail.protocol.v1 import protocol_api_pb2 as protocol
from ridehail.protocol.v1 import protocol_api_pb2_grpc as protocol_grpc
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as toll_roads_grpc
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail.userstate.v1 import user_state_api_pb2_grpc as user_state_grpc

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


class RiderPersonalState(api_proxy_grpc.PersonalStateServiceServicer):
    """Riders' personal states by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def PersonalState(
        self, request: api_proxy.PersonalStateRequest, context: grpc.ServicerContext
    ) -> api_proxy.PersonalStateResponse:
        return self._server.play(request, context, api_proxy.PersonalStateResponse())


class UserState(user_state_grpc.UserStateServiceServicer):
    """User state by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def GetPersonalState(
        self, request: user_state.GetPersonalStateRequest, context: grpc.ServicerContext
    ) -> user_state.GetPersonalStateResponse:
        return self._server.play(request, context, user_state.GetPersonalStateResponse())

    def UpdatePersonalState(
        self, request: user_state.UpdatePersonalStateRequest, context: grpc.ServicerContext
    ) -> user_state.UpdatePersonalStateResponse:
        return self._server.play(request, context, user_state.UpdatePersonalStateResponse())

    def ListPersonalStates(
        self, request: user_state.ListPersonalStatesRequest, context: grpc.ServicerContext
    ) -> user_state.ListPersonalStatesResponse:
        return self._server.play(request, context, user_state.ListPersonalStatesResponse())

    def ImportPersonalStates(
        self, request: user_state.ImportPersonalStatesRequest, context: grpc.ServicerContext
    ) -> user_state.ImportPersonalStatesResponse:
        return self._server.play(request, context, user_state.ImportPersonalStatesResponse())

    def CompareJsons(
        self, request: user_state.CompareJsonsRequest, context: grpc.ServicerContext
    ) -> user_state.CompareJsonsResponse:
        return self._server.play(request, context, user_state.CompareJsonsResponse())


class Protocol(protocol_grpc.ProtocolServiceServicer):
    """Protocol by script."""

    def __init__(self, server: ScriptedServer) -> None:
        self._server = server

    def GetPersonalState(
        self, request: protocol.GetPersonalStateRequest, context: grpc.ServicerContext
    ) -> protocol.GetPersonalStateResponse:
        return self._server.play(request, context, protocol.GetPersonalStateResponse())

    def UpdatePersonalState(
        self, request: protocol.UpdatePersonalStateRequest, context: grpc.ServicerContext
    ) -> protocol.UpdatePersonalStateResponse:
        return self._server.play(request, context, protocol.UpdatePersonalStateResponse())

    def ListPersonalStates(
        self, request: protocol.ListPersonalStatesRequest, context: grpc.ServicerContext
    ) -> protocol.ListPersonalStatesResponse:
        return self._server.play(request, context, protocol.ListPersonalStatesResponse())

    def ImportPersonalStates(
        self, request: protocol.ImportPersonalStatesRequest, context: grpc.ServicerContext
    ) -> protocol.ImportPersonalStatesResponse:
        return self._server.play(request, context, protocol.ImportPersonalStatesResponse())


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
    api_proxy_grpc.add_PersonalStateServiceServicer_to_server(RiderPersonalState(scripted), server)
    user_state_grpc.add_UserStateServiceServicer_to_server(UserState(scripted), server)
    protocol_grpc.add_ProtocolServiceServicer_to_server(Protocol(scripted), server)
    if with_health:
        health_pb2_grpc.add_HealthServicer_to_server(scripted.health, server)
        scripted.health.set("", health_pb2.HealthCheckResponse.SERVING)
    scripted.target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield scripted
    finally:
        server.stop(None).wait()
