"""Typed clients of the suite's services, for asyncio and for blocking code.

Every failure of a call is a `ServiceError`; `errors` has one class per reason. `RetryPolicy` says how calls that are
safe to repeat are repeated. `call_context` passes deadline and request id of an incoming call on to the calls that are
made while it is handled.
"""

from ridehail_clients._async.api_proxy import AsyncRoutestatsClient, AsyncZoneInfoClient
from ridehail_clients._async.eulas import AsyncEulasClient, AsyncPassengerEulasClient
from ridehail_clients._async.eulas_flow import AsyncEulasFlow
from ridehail_clients._async.order_core import AsyncOrderCoreClient
from ridehail_clients._async.personal_state import AsyncPersonalStateClient
from ridehail_clients._async.protocol import AsyncProtocolClient
from ridehail_clients._async.toll_roads import AsyncPassengerTollRoadsClient, AsyncTollRoadsClient
from ridehail_clients._async.user_state import AsyncUserStateClient
from ridehail_clients._sync.api_proxy import RoutestatsClient, ZoneInfoClient
from ridehail_clients._sync.eulas import EulasClient, PassengerEulasClient
from ridehail_clients._sync.eulas_flow import EulasFlow
from ridehail_clients._sync.order_core import OrderCoreClient
from ridehail_clients._sync.personal_state import PersonalStateClient
from ridehail_clients._sync.protocol import ProtocolClient
from ridehail_clients._sync.toll_roads import PassengerTollRoadsClient, TollRoadsClient
from ridehail_clients._sync.user_state import UserStateClient
from ridehail_clients.channel import open_async_channel, open_sync_channel
from ridehail_clients.errors import (
    ERRORS_BY_REASON,
    CallerNotAllowed,
    CallTimedOut,
    ClientClosed,
    DatabaseUnavailable,
    DeadlineExceeded,
    EulaNotFound,
    EulaNotRejectable,
    FieldViolation,
    GatewayKeyInvalid,
    InternalError,
    InvalidRequest,
    JsonMismatch,
    NeighbourUnavailable,
    OrderFieldTypeMismatch,
    OrderNotFound,
    OrderVersionConflict,
    Overloaded,
    PassengerMissing,
    PersonalStateTooLarge,
    PriceChangesOutOfOrder,
    RevisionConflict,
    RoadSwitchConflict,
    RoadSwitchNotAllowed,
    ServiceError,
    SessionExpired,
    SessionInvalid,
    SessionMissing,
    TicketExpired,
    TicketInvalid,
    TicketMissing,
    TicketWrongDestination,
    TransportUnavailable,
)
from ridehail_clients.eula_answers import EulaList, RefusedDecision, SaveReport
from ridehail_clients.json_values import JsonInput, JsonObject, JsonValue
from ridehail_clients.models import (
    ActiveOrder,
    ActiveOrders,
    ComparedKind,
    Eula,
    EulaDecision,
    EulaFilter,
    EulaState,
    EulaStatus,
    HiddenTariff,
    OrderFields,
    OrderInfo,
    OrderRoad,
    OrderRoads,
    PersonalState,
    PersonalStateCopy,
    RouteStats,
    TariffSettings,
    ZoneInfo,
)
from ridehail_clients.retry import RetryPolicy
from ridehail_clients.road_fallback import RoadCache
from ridehail_clients.tickets import TicketSource, static_ticket, ticket_from_env

__all__ = [
    "ERRORS_BY_REASON",
    "ActiveOrder",
    "ActiveOrders",
    "AsyncEulasClient",
    "AsyncEulasFlow",
    "AsyncOrderCoreClient",
    "AsyncPassengerEulasClient",
    "AsyncPassengerTollRoadsClient",
    "AsyncPersonalStateClient",
    "AsyncProtocolClient",
    "AsyncRoutestatsClient",
    "AsyncTollRoadsClient",
    "AsyncUserStateClient",
    "AsyncZoneInfoClient",
    "CallTimedOut",
    "CallerNotAllowed",
    "ClientClosed",
    "ComparedKind",
    "DatabaseUnavailable",
    "DeadlineExceeded",
    "Eula",
    "EulaDecision",
    "EulaFilter",
    "EulaList",
    "EulaNotFound",
    "EulaNotRejectable",
    "EulaState",
    "EulaStatus",
    "EulasClient",
    "EulasFlow",
    "FieldViolation",
    "GatewayKeyInvalid",
    "HiddenTariff",
    "InternalError",
    "InvalidRequest",
    "JsonInput",
    "JsonMismatch",
    "JsonObject",
    "JsonValue",
    "NeighbourUnavailable",
    "OrderCoreClient",
    "OrderFieldTypeMismatch",
    "OrderFields",
    "OrderInfo",
    "OrderNotFound",
    "OrderRoad",
    "OrderRoads",
    "OrderVersionConflict",
    "Overloaded",
    "PassengerEulasClient",
    "PassengerMissing",
    "PassengerTollRoadsClient",
    "PersonalState",
    "PersonalStateClient",
    "PersonalStateCopy",
    "PersonalStateTooLarge",
    "PriceChangesOutOfOrder",
    "ProtocolClient",
    "RefusedDecision",
    "RetryPolicy",
    "RevisionConflict",
    "RoadCache",
    "RoadSwitchConflict",
    "RoadSwitchNotAllowed",
    "RouteStats",
    "RoutestatsClient",
    "SaveReport",
    "ServiceError",
    "SessionExpired",
    "SessionInvalid",
    "SessionMissing",
    "TariffSettings",
    "TicketExpired",
    "TicketInvalid",
    "TicketMissing",
    "TicketSource",
    "TicketWrongDestination",
    "TollRoadsClient",
    "TransportUnavailable",
    "UserStateClient",
    "ZoneInfo",
    "ZoneInfoClient",
    "open_async_channel",
    "open_sync_channel",
    "static_ticket",
    "ticket_from_env",
]
