"""Typed clients of the suite's services, for asyncio and for blocking code.

Every failure of a call is a `ServiceError`; `errors` has one class per reason. `RetryPolicy` says how calls that are
safe to repeat are repeated. `call_context` passes deadline and request id of an incoming call on to the calls that are
made while it is handled.

Errors, models and most clients are generated from the contracts: see `proto/generate_clients.py`.
"""

from ridehail_clients import errors, models
from ridehail_clients._async import generated as async_clients
from ridehail_clients._async.eulas_flow import AsyncEulasFlow
from ridehail_clients._async.generated import *
from ridehail_clients._async.order_poller import AsyncOrderPoller
from ridehail_clients._async.taxi_on_the_way import AsyncTaxiOnTheWayClient
from ridehail_clients._async.toll_roads import AsyncTollRoadsClient
from ridehail_clients._sync import generated as sync_clients
from ridehail_clients._sync.eulas_flow import EulasFlow
from ridehail_clients._sync.generated import *
from ridehail_clients._sync.order_poller import OrderPoller
from ridehail_clients._sync.taxi_on_the_way import TaxiOnTheWayClient
from ridehail_clients._sync.toll_roads import TollRoadsClient
from ridehail_clients.calls.breakers import BreakerObserver
from ridehail_clients.calls.channel import open_async_channel, open_sync_channel
from ridehail_clients.calls.retry import RetryPolicy
from ridehail_clients.calls.tickets import TicketSource, static_ticket, ticket_from_env
from ridehail_clients.errors import *
from ridehail_clients.eulas.decisions import EulaList, RefusedDecision, SaveReport
from ridehail_clients.models import *
from ridehail_clients.orders.cards import CardPart, OrderCard, PartInvalid, PolledPart, PollReport
from ridehail_clients.orders.polling_pauses import PollingPauses
from ridehail_clients.road_fallback import CardRoadCache, RoadCache
from ridehail_kernel import call_context
from ridehail_kernel.availability import is_unavailable
from ridehail_kernel.json_values import JsonInput, JsonObject, JsonValue
from ridehail_kernel.tls import tls_from_dir

__all__ = [
    "AsyncEulasFlow",
    "AsyncOrderPoller",
    "AsyncTaxiOnTheWayClient",
    "AsyncTollRoadsClient",
    "BreakerObserver",
    "CardPart",
    "CardRoadCache",
    "EulaList",
    "EulasFlow",
    "JsonInput",
    "JsonObject",
    "JsonValue",
    "OrderCard",
    "OrderPoller",
    "PartInvalid",
    "PollReport",
    "PolledPart",
    "PollingPauses",
    "RefusedDecision",
    "RetryPolicy",
    "RoadCache",
    "SaveReport",
    "TaxiOnTheWayClient",
    "TicketSource",
    "TollRoadsClient",
    "call_context",
    "is_unavailable",
    "open_async_channel",
    "open_sync_channel",
    "static_ticket",
    "ticket_from_env",
    "tls_from_dir",
]
__all__ += errors.__all__
__all__ += models.__all__
__all__ += async_clients.__all__
__all__ += sync_clients.__all__
