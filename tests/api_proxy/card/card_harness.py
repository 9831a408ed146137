"""Riders in a family with rides under way, and all the services that the cards of the rides are made of."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.json_format import MessageToDict
from prometheus_client import REGISTRY

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_clients import AsyncFamilyClient, AsyncOrderCoreClient, FamilyAdmin, FamilyMember
from ridehail_servers.api_proxy.definition import DEFINITION as API_PROXY
from tests.api_proxy.proxy import EVER_MS
from tests.support.calls import call
from tests.support.config_edits import edit
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.service_controls import ServiceControls, controlled
from tests.support.suite_in_process import SuiteInProcess, suite_in_process

TAXI_ON_THE_WAY = "/ridehail.apiproxy.v1.TaxiOnTheWayService/TaxiOnTheWay"
ADMIN, RIDER, STRANGER = "4000", "4001", "4999"
ADMIN_NAME, ADMIN_PHONE, RIDER_PHONE = "Canary Vasily", "canary-phone-admin", "canary-phone-rider"
SERVICES = (
    "api-proxy",
    "toll-roads",
    "order-core",
    "family",
    "route-sharing",
    "inapp-communications",
)
TOGGLE_BANNER = "share_ride_with_family"


@dataclass
class CardHarness:
    """A running suite, and what riders do."""

    suite: SuiteInProcess
    faults: FaultProxy
    channel: grpc.aio.Channel
    controls: ServiceControls
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _timeouts: dict[str, int] = field(default_factory=dict)

    def set_timeouts(self, **timeouts_ms: int) -> None:
        """Sets the timeouts of the card: these, and all others longer than a card may take."""
        services = ("order_core", "route_sharing", "inapp", "toll_roads")
        timeouts = {f"{one}_timeout_ms": timeouts_ms.get(one, EVER_MS) for one in services}
        if timeouts != self._timeouts:
            edit(self.controls.config_dir / "api_proxy.yaml", {"TAXI_ON_THE_WAY": timeouts})
            self.controls.reload()
            self._timeouts = timeouts

    def heal(self) -> None:
        """Nobody fails, and nobody was called."""
        self.faults.clear()
        self.controls.close_breakers()

    async def make_family(self) -> None:
        """Makes the family of the rider."""
        async with AsyncFamilyClient(self.suite.address, ticket=self.suite.ticket("admin")) as family:
            family_id = await family.create_family(admin=FamilyAdmin(ADMIN, ADMIN_NAME), phone_id=ADMIN_PHONE)
            await family.add_member(family_id=family_id, member=FamilyMember(RIDER, RIDER_PHONE))

    async def make_order(self, *, uid: str = RIDER, shareable: bool = True, toll_road: bool = True) -> str:
        """Makes an order under way; returns its id."""
        order_id = f"order-{next(self._numbers)}"
        order: dict[str, Any] = {"version": 1, "status": "driving"}
        if shareable:
            order["rsk"] = f"key-of-{order_id}"
        async with AsyncOrderCoreClient(self.suite.address, ticket=self.suite.ticket("admin")) as order_core:
            await order_core.put_order(order_id=order_id, yandex_uid=uid, document={"order": order})
        if toll_road:
            await self.suite.execute(
                "INSERT INTO toll_roads.orders (order_id, created_at, can_switch_road, yandex_uid)"
                " VALUES (%s, now(), true, %s)",
                order_id,
                uid,
            )
            await self.suite.execute(
                "INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road)"
                " VALUES (%s, now(), true)",
                order_id,
            )
        return order_id

    def metadata(self, uid: str = RIDER, role: str = "user", **headers: str) -> tuple[tuple[str, str], ...]:
        """Returns what the gateway sends along with a rider's call."""
        others = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return (*self.suite.metadata("gateway", "api-proxy", uid, family_role=role or ""), *others)

    async def card(
        self, order_id: str, toggle: bool | None = None, *, uid: str = RIDER, role: str = "user", **headers: str
    ) -> dict[str, Any]:
        """Asks for a card, with the toggle moved if it is given; returns it as JSON."""
        request = api.TaxiOnTheWayRequest(order_id=order_id)
        if toggle is not None:
            request.user_actions.share_ride_with_family.value = toggle
        encoded = await call(self.channel, TAXI_ON_THE_WAY, request, metadata=self.metadata(uid, role, **headers))
        response = api.TaxiOnTheWayResponse.FromString(encoded)
        as_json: dict[str, Any] = MessageToDict(response, preserving_proto_field_name=True)
        return as_json

    async def is_shared(self, order_id: str) -> bool:
        """Tells what is stored of the ride."""
        rows = await self.suite.rows(
            "SELECT sharing_on FROM order_route_sharing.family_rides WHERE sharing_key = %s", f"key-of-{order_id}"
        )
        return bool(rows and rows[0][0])


def is_selected(card: dict[str, Any]) -> bool | None:
    """Returns the state of the toggle that a card shows; None: it shows none."""
    for promo in card.get("promos", ()):
        if promo["id"] == TOGGLE_BANNER:
            assert isinstance(promo["is_selected"], bool)
            return bool(promo["is_selected"])
    return None


def counted(metric: str) -> dict[tuple[str, ...], float]:
    """Returns the values of a counter by its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for family in REGISTRY.collect()
        if family.name == metric
        for sample in family.samples
        if sample.name.endswith("_total")
    }


@asynccontextmanager
async def card_harness(
    *, database_url: str, keys_dir: Path, config_dir: Path, cache_url: str | None = None, watched: bool = True
) -> AsyncIterator[CardHarness]:
    """Runs the services for the length of the block; the dependencies of each are behind a proxy.

    Args:
        database_url: Of all services.
        keys_dir: Key rings.
        config_dir: Configuration.
        cache_url: Of the cache.
        watched: True: api_proxy notices edits of its configuration. False: they take effect at once.
    """
    running: list[SuiteInProcess] = []
    own, controls = controlled(API_PROXY, config_dir)
    async with fault_proxy(lambda: running[0].address) as faults:
        behind = dict.fromkeys(("toll-roads", "family", "route-sharing", "inapp-communications"), faults.address)
        async with suite_in_process(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            services=SERVICES if watched else [own if one == own.name else one for one in SERVICES],
            addresses=behind,
            cache_url=cache_url,
        ) as suite:
            running.append(suite)
            async with suite.channel() as channel:
                harness = CardHarness(suite, faults, channel, controls)
                await harness.make_family()
                yield harness
