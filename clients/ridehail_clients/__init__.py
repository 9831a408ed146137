"""Typed clients of the suite's services, for asyncio and for blocking code.

Every failure of a call is a `ServiceError`; `errors` has one class per reason. `RetryPolicy` says how calls that are
safe to repeat are repeated. `call_context` passes deadline and request id of an incoming call on to the calls that are
made while it is handled.
"""

from ridehail_clients._async.api_proxy import AsyncLaunchClient, AsyncRoutestatsClient, AsyncZoneInfoClient
from ridehail_clients._async.eulas import AsyncEulasClient, AsyncPassengerEulasClient
from ridehail_clients._async.eulas_flow import AsyncEulasFlow
from ridehail_clients._async.family import AsyncFamilyClient
from ridehail_clients._async.inapp import AsyncInappCommunicationsClient
from ridehail_clients._async.order_core import AsyncOrderCoreClient
from ridehail_clients._async.order_poller import AsyncOrderPoller
from ridehail_clients._async.order_provider import AsyncOrderProviderClient
from ridehail_clients._async.order_state import AsyncOrderStateClient, AsyncPassengerOrderStateClient
from ridehail_clients._async.route_sharing import AsyncPassengerRouteSharingClient, AsyncRouteSharingClient
from ridehail_clients._async.taxi_on_the_way import AsyncTaxiOnTheWayClient
from ridehail_clients._async.toll_roads import AsyncPassengerTollRoadsClient, AsyncTollRoadsClient
from ridehail_clients._sync.api_proxy import LaunchClient, RoutestatsClient, ZoneInfoClient
from ridehail_clients._async.personal_state import AsyncPersonalStateClient
from ridehail_clients._async.protocol import AsyncProtocolClient
from ridehail_clients._async.toll_roads import AsyncPassengerTollRoadsClient, AsyncTollRoadsClient
from ridehail_clients._async.user_state import AsyncUserStateClient
from ridehail_clients._sync.api_proxy import RoutestatsClient, ZoneInfoClient
from ridehail_clients._sync.eulas import EulasClient, PassengerEulasClient
from ridehail_clients._sync.eulas_flow import EulasFlow
from ridehail_clients._sync.family import FamilyClient
from ridehail_clients._sync.inapp import InappCommunicationsClient
from ridehail_clients._sync.order_core import OrderCoreClient
from ridehail_clients._sync.order_poller import OrderPoller
from ridehail_clients._sync.order_provider import OrderProviderClient
from ridehail_clients._sync.order_state import OrderStateClient, PassengerOrderStateClient
from ridehail_clients._sync.route_sharing import PassengerRouteSharingClient, RouteSharingClient
from ridehail_clients._sync.taxi_on_the_way import TaxiOnTheWayClient
from ridehail_clients._sync.toll_roads import PassengerTollRoadsClient, TollRoadsClient
from ridehail_clients.card_models import CardRoad, Promo, PromosOnTheWay, RideCard, UserActions
from ridehail_clients._sync.personal_state import PersonalStateClient
from ridehail_clients._sync.protocol import ProtocolClient
from ridehail_clients._sync.toll_roads import PassengerTollRoadsClient, TollRoadsClient
from ridehail_clients._sync.user_state import UserStateClient
from ridehail_clients.channel import open_async_channel, open_sync_channel
from ridehail_clients.errors import (
    ERRORS_BY_REASON,
    AlreadyInFamily,
    CallerNotAllowed,
    CallTimedOut,
    ClientClosed,
    DatabaseUnavailable,
    DeadlineExceeded,
    EulaNotFound,
    EulaNotRejectable,
    FamilyAdminNotRemovable,
    FamilyFull,
    FamilyNotFound,
    FieldViolation,
    GatewayKeyInvalid,
    InternalError,
    InvalidRequest,
    JsonMismatch,
    NeighbourUnavailable,
    NotInFamily,
    OrderFieldTypeMismatch,
    OrderNotFound,
    OrderOwnerMismatch,
    OrderVersionConflict,
    Overloaded,
    PassengerMissing,
    PersonalStateTooLarge,
    PriceChangesOutOfOrder,
    RevisionConflict,
    RoadSwitchConflict,
    RoadSwitchNotAllowed,
    ServiceError,
    ServiceNotFound,
    SessionExpired,
    SessionInvalid,
    SessionMissing,
    SharingKeyConflict,
    SharingKeyNotFound,
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
    Family,
    FamilyAdmin,
    FamilyMember,
    HiddenTariff,
    OrderFields,
    OrderInfo,
    OrderRoad,
    OrderRoads,
    PersonalState,
    PersonalStateCopy,
    RouteStats,
    SharedRide,
    SharingFamily,
    SharingInfo,
    TariffSettings,
    ZoneInfo,
)
from ridehail_clients.order_cards import (
    CardPart,
    OrderCard,
    PartInvalid,
    PolledPart,
    PollingPauses,
    PollReport,
)
from ridehail_clients.orders_state import (
    AllowedChanges,
    KnownOrder,
    Launch,
    LaunchEulas,
    LaunchKnownOrder,
    LaunchOrder,
    MlutpOrdersState,
    OrdersState,
    OrdersStateAndPolicy,
    OrderState,
    PollingPolicy,
    UpdateStatus,
    Upstream,
)
from ridehail_clients.retry import RetryPolicy
from ridehail_clients.road_fallback import RoadCache
from ridehail_clients.tickets import TicketSource, static_ticket, ticket_from_env

__all__ = [
    "ERRORS_BY_REASON",
    "ActiveOrder",
    "ActiveOrders",
    "AllowedChanges",
    "AlreadyInFamily",
    "AsyncEulasClient",
    "AsyncEulasFlow",
    "AsyncFamilyClient",
    "AsyncInappCommunicationsClient",
    "AsyncLaunchClient",
    "AsyncOrderCoreClient",
    "AsyncOrderPoller",
    "AsyncOrderProviderClient",
    "AsyncOrderStateClient",
    "AsyncPassengerEulasClient",
    "AsyncPassengerOrderStateClient",
    "AsyncPassengerRouteSharingClient",
    "AsyncPassengerTollRoadsClient",
    "AsyncRouteSharingClient",
    "AsyncPersonalStateClient",
    "AsyncProtocolClient",
    "AsyncRoutestatsClient",
    "AsyncTaxiOnTheWayClient",
    "AsyncTollRoadsClient",
    "AsyncUserStateClient",
    "AsyncZoneInfoClient",
    "CallTimedOut",
    "CallerNotAllowed",
    "CardPart",
    "CardRoad",
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
    "Family",
    "FamilyAdmin",
    "FamilyAdminNotRemovable",
    "FamilyClient",
    "FamilyFull",
    "FamilyMember",
    "FamilyNotFound",
    "FieldViolation",
    "GatewayKeyInvalid",
    "HiddenTariff",
    "InappCommunicationsClient",
    "InternalError",
    "InvalidRequest",
    "JsonInput",
    "JsonMismatch",
    "JsonObject",
    "JsonValue",
    "KnownOrder",
    "Launch",
    "LaunchClient",
    "LaunchEulas",
    "LaunchKnownOrder",
    "LaunchOrder",
    "MlutpOrdersState",
    "NeighbourUnavailable",
    "NotInFamily",
    "OrderCard",
    "OrderCoreClient",
    "OrderFieldTypeMismatch",
    "OrderFields",
    "OrderInfo",
    "OrderNotFound",
    "OrderOwnerMismatch",
    "OrderPoller",
    "OrderProviderClient",
    "OrderRoad",
    "OrderRoads",
    "OrderState",
    "OrderStateClient",
    "OrderVersionConflict",
    "OrdersState",
    "OrdersStateAndPolicy",
    "Overloaded",
    "PartInvalid",
    "PassengerEulasClient",
    "PassengerMissing",
    "PassengerOrderStateClient",
    "PassengerRouteSharingClient",
    "PassengerTollRoadsClient",
    "PollReport",
    "PolledPart",
    "PollingPauses",
    "PollingPolicy",
    "PriceChangesOutOfOrder",
    "Promo",
    "PromosOnTheWay",
    "RefusedDecision",
    "RetryPolicy",
    "RideCard",
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
    "RouteSharingClient",
    "RouteStats",
    "RoutestatsClient",
    "SaveReport",
    "ServiceError",
    "ServiceNotFound",
    "SessionExpired",
    "SessionInvalid",
    "SessionMissing",
    "SharedRide",
    "SharingFamily",
    "SharingInfo",
    "SharingKeyConflict",
    "SharingKeyNotFound",
    "TaxiOnTheWayClient",
    "TariffSettings",
    "TicketExpired",
    "TicketInvalid",
    "TicketMissing",
    "TicketSource",
    "TicketWrongDestination",
    "TollRoadsClient",
    "TransportUnavailable",
    "UpdateStatus",
    "Upstream",
    "UserActions",
    "UserStateClient",
    "ZoneInfo",
    "ZoneInfoClient",
    "open_async_channel",
    "open_sync_channel",
    "static_ticket",
    "ticket_from_env",
]
