"""The card of a ride keeps the last known road, and only while the present one is unknown."""

from __future__ import annotations

import pytest

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_clients import CardRoad, RoadStatus
from tests.clients.flavours import ASYNCIO, BLOCKING, Flavour
from tests.clients.scripted_server import ScriptedServer, reply

TOLL = CardRoad(has_toll_road=True, can_switch_road=True)
STALE = CardRoad(has_toll_road=True, can_switch_road=True, stale=True)
KNOWN = api.TaxiOnTheWayResponse(
    order_id="order", toll_road=api.TollRoad(has_toll_road=True, can_switch_road=True), toll_road_status="known"
)
NONE = api.TaxiOnTheWayResponse(order_id="order", toll_road_status="none")
UNKNOWN = api.TaxiOnTheWayResponse(order_id="order", toll_road_status="unknown")

both_flavours = pytest.mark.parametrize("flavour", [ASYNCIO, BLOCKING], ids=lambda flavour: flavour.name)


@both_flavours
async def test_an_unknown_road_is_the_last_known_one_and_none_is_none(flavour: Flavour) -> None:
    server = ScriptedServer()
    cache: dict[str, CardRoad] = {}
    server.script(*map(reply, (UNKNOWN, KNOWN, UNKNOWN, UNKNOWN, NONE, UNKNOWN)))
    seen = []
    for _ in range(6):
        card = await flavour.call(
            flavour.in_memory(server), "TaxiOnTheWayClient", "taxi_on_the_way", {"order_id": "order", "fallback": cache}
        )
        seen.append((card.toll_road_status, card.toll_road, dict(cache)))
    kept = {"order": TOLL}
    assert seen == [
        (RoadStatus.UNKNOWN, None, {}),
        (RoadStatus.KNOWN, TOLL, kept),
        (RoadStatus.UNKNOWN, STALE, kept),
        (RoadStatus.UNKNOWN, STALE, kept),
        (RoadStatus.NONE, None, {}),
        (RoadStatus.UNKNOWN, None, {}),
    ]


@both_flavours
async def test_without_a_fallback_an_unknown_road_is_none(flavour: Flavour) -> None:
    server = ScriptedServer()
    server.script(reply(KNOWN), reply(UNKNOWN))
    for road in (TOLL, None):
        arguments = {"order_id": "order"}
        card = await flavour.call(flavour.in_memory(server), "TaxiOnTheWayClient", "taxi_on_the_way", arguments)
        assert card.toll_road == road
