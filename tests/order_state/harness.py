"""order_state with three services that keep orders, by a clock that the test sets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import yaml

from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.order_state.provider_server import ProviderServer, provider_server
from tests.support.calls import Metadata, call_patiently
from tests.support.suite_in_process import SuiteInProcess, suite_in_process

T0 = datetime(2026, 11, 20, 12, 0, 0, 123456, tzinfo=UTC)
RETRY_S, TTL_S = 5, 60
SERVERS = {"taxi": "order-core", "eats": "eats-orders", "grocery": "grocery-orders"}

PASSENGER = "/ridehail.orderstate.v1.PassengerOrderStateService"
INTERNAL = "/ridehail.orderstate.v1.OrderStateService"
POLL = f"{PASSENGER}/PollOrdersState"
INVALID = f"{PASSENGER}/ReportInvalidParts"
GET, GET_SERVICE, REPORT = (
    f"{INTERNAL}/{method}" for method in ("GetOrdersState", "GetServiceOrdersState", "ReportOrderParts")
)

POLICY = [
    {
        "service": service,
        "part_name": part,
        "url": f"/{service}/{part}",
        "fields": ["field1", "field2"],
        "polling_type": "tag_defined",
        "part_type": "card",
        "priority": priority,
        **more,
    }
    for service, part, priority, more in (
        ("taxi", "route", 3, {}),
        ("taxi", "info", 1, {"required": True}),
        ("eats", "full_info", 2, {"required": False}),
    )
]
CONFIG: dict[str, Any] = {
    "max_active_orders": {"taxi": 3, "eats": 1},
    "retry_interval_s": RETRY_S,
    "tag_ttl_s": TTL_S,
    "provider_timeout_ms": 1_000,
    "polling_interval_s": 10,
    "polling_longest_pause_s": 60,
    "polling_policy": POLICY,
    "reporters": {"admin": ["taxi", "eats", "grocery"]},
    "foreign_reports": "refuse",
    "invalid_parts": {"report_interval_s": 60, "samples_per_part": 3, "names": ["driver", "name"]},
}

Known = order_state_pb2.KnownOrder


def known(orderid: str, service: str = "taxi", status: str = "old", **more: Any) -> Known:
    """Returns an order as an app knows it."""
    return Known(orderid=orderid, service=service, status=status, **more)


@dataclass(frozen=True)
class Rider:
    """A rider of the harness, and the calls of apps and services about them."""

    harness: Harness
    uid: str

    async def poll(self, *orders: Known, tags: Mapping[str, str] | None = None) -> api.PollOrdersStateResponse:
        request = api.PollOrdersStateRequest(known_orders=orders, tags=tags or {})
        return api.PollOrdersStateResponse.FromString(
            await call_patiently(self.harness.channel, POLL, request, metadata=self.own_metadata())
        )

    async def start(
        self,
        *orders: Known,
        supported: Sequence[str] = tuple(SERVERS),
        upstreams: Mapping[str, order_state_pb2.Upstream] | None = None,
    ) -> api.GetOrdersStateResponse:
        request = api.GetOrdersStateRequest(
            yandex_uid=self.uid, supported_services=supported, known_orders=orders, upstreams=upstreams or {}
        )
        return api.GetOrdersStateResponse.FromString(
            await call_patiently(self.harness.channel, GET, request, metadata=self.harness.metadata("api-proxy"))
        )

    async def report(
        self, orderid: str, sequence: int, *, service: str = "taxi", finished: bool | None = None, **parts: str
    ) -> bool:
        request = api.ReportOrderPartsRequest(
            service=service, orderid=orderid, yandex_uid=self.uid, sequence=sequence, parts=parts, finished=finished
        )
        metadata = self.harness.metadata("admin")
        response = await call_patiently(self.harness.channel, REPORT, request, metadata=metadata)
        return api.ReportOrderPartsResponse.FromString(response).changed

    def own_metadata(self) -> Metadata:
        return self.harness.metadata("gateway", self.uid)


@dataclass
class Harness:
    """A running order_state, its dependencies and its clock."""

    suite: SuiteInProcess
    channel: grpc.aio.Channel
    clock: list[datetime]
    providers: dict[str, ProviderServer]

    def rider(self, uid: str) -> Rider:
        return Rider(self, uid)

    def metadata(self, source: str, uid: str | None = None) -> Metadata:
        passenger = None if uid is None else Identity(uid)
        issuer = TicketIssuer(self.suite.keys, source, clock=lambda: self.clock[0])
        ticket = issuer.issue("order-state", passenger=passenger)
        return (("x-ya-service-ticket", ticket),)

    def pass_time(self, seconds: float) -> None:
        self.clock[0] += timedelta(seconds=seconds)

    def queried(self) -> dict[str, int]:
        """Returns how many queries each provider got."""
        return {service: sum(provider.queries.values()) for service, provider in self.providers.items()}

    async def reset(self) -> None:
        """Forgets all orders, and heals all services."""
        await self.suite.execute(
            "TRUNCATE order_state.orders, order_state.parts,"
            " order_state.invalid_parts, order_state.invalid_part_samples"
        )
        for provider in self.providers.values():
            provider.reset()

    async def stored(self) -> list[tuple[object, ...]]:
        """Returns the parts of all orders; an order without parts has one line."""
        return await self.suite.rows(
            "SELECT service, orderid, yandex_uid, reported, finished, finish_sequence, part_name, version, sequence"
            " FROM order_state.orders LEFT JOIN order_state.parts USING (service, orderid) ORDER BY 1, 2, 7"
        )


@asynccontextmanager
async def harness(
    *,
    database_url: str,
    keys_dir: Path,
    config_dir: Path,
    config: Mapping[str, Any] = MappingProxyType(CONFIG),
    others: Sequence[str] = (),
) -> AsyncIterator[Harness]:
    """Runs order_state, and others of the suite, for the length of the block."""
    (config_dir / "order_state.yaml").write_text(yaml.safe_dump(dict(config)))
    clock = [T0]
    async with AsyncExitStack() as stack:
        providers = {service: await stack.enter_async_context(provider_server()) for service in SERVERS}
        suite = await stack.enter_async_context(
            suite_in_process(
                database_url=database_url,
                keys_dir=keys_dir,
                config_dir=config_dir,
                services=("order-state", *others),
                addresses={SERVERS[service]: provider.address for service, provider in providers.items()},
                clock=lambda: clock[0],
            )
        )
        channel = await stack.enter_async_context(suite.channel())
        yield Harness(suite, channel, clock, providers)


def shown(response: api.PollOrdersStateResponse | api.GetOrdersStateResponse) -> list[tuple[object, ...]]:
    """Returns of each order its service, id, status, tags, parts to request, and how far it can be trusted."""
    return [
        (one.service, one.orderid, one.status, dict(one.tags), list(one.need_request), one.update_status)
        for one in response.orders
    ]


def allowed(response: api.PollOrdersStateResponse | api.GetOrdersStateResponse) -> dict[str, str | bool]:
    """Returns for each service whether one more order may be made, or why not."""
    return {
        one.service: one.no_more_orders_reason if one.HasField("no_more_orders_reason") else one.can_make_more_orders
        for one in response.allowed_changes
    }
