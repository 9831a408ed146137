"""The card of a ride keeps the last known road, and only while the present one is unknown."""

from __future__ import annotations

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_clients import CardRoad, RoadStatus
from tests.clients.flavours import Flavour
from tests.clients.scripted_server import ScriptedServer, reply

TOLL = CardRoad(has_toll_road=True, can_switch_road=True)
STALE = CardRoad(has_toll_road=True, can_switch_road=True, stale=True)
KNOWN = api.TaxiOnTheWayResponse(
    order_id="order", toll_road=api.TollRoad(has_toll_road=True, can_switch_road=True), toll_road_status="known"
)
NONE = api.TaxiOnTheWayResponse(order_id="order", toll_road_status="none")
UNKNOWN = api.TaxiOnTheWayResponse(order_id="order", toll_road_status="unknown")


async def test_an_unknown_road_is_the_last_known_one_and_none_is_none(server: ScriptedServer, flavour: Flavour) -> None:
    cache: dict[str, CardRoad] = {}
    server.script(*map(reply, (UNKNOWN, KNOWN, UNKNOWN, UNKNOWN, NONE, UNKNOWN)))
    seen = []
    for _ in range(6):
        card = await flavour.call(
            server.target, "TaxiOnTheWayClient", "taxi_on_the_way", {"order_id": "order", "fallback": cache}
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


async def test_without_a_fallback_an_unknown_road_is_none(server: ScriptedServer, flavour: Flavour) -> None:
    server.script(reply(KNOWN), reply(UNKNOWN))
    for road in (TOLL, None):
        card = await flavour.call(server.target, "TaxiOnTheWayClient", "taxi_on_the_way", {"order_id": "order"})
        assert card.toll_road == road
