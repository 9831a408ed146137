"""The card of a ride under way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.case import RETRIEVE, Case, against_null, one_order
from bench.comparison import Contender, Goal
from bench.harness import Harness
from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api

_CARD = "/ridehail.apiproxy.v1.TaxiOnTheWayService/TaxiOnTheWay"
_DEPENDENCIES = ("order-core", "toll-roads", "family", "route-sharing", "inapp-communications")
_RIDES = 1_000
# A card is warm for as long as its banners are cached: longer than a run takes.
_BANNERS_CACHED_S = 3_600


@contextmanager
def _cards(harness: Harness) -> Iterator[Sequence[Contender]]:
    rides = min(harness.orders, _RIDES)
    url = harness.tables.rides(rides)

    def keep_banners(config: dict[str, dict[str, dict[str, int]]]) -> None:
        for cache_control in config["INAPP_TOTW_STORIES_CACHE_CONTROL"].values():
            cache_control["ttl_s"] = _BANNERS_CACHED_S

    servers = harness.servers
    warm = servers.changed_config("warm", "api_proxy.yaml", keep_banners)
    with (
        servers.ridehail(*_DEPENDENCIES, database_url=url) as dependencies,
        servers.ridehail("api-proxy", database_url=url, dependencies=dependencies, config=warm) as ours,
        servers.fastapi("fastapi_card_dependencies", database_url=url) as peers,
        servers.fastapi("fastapi_taxi", database_url=url, BENCH_DEPENDENCIES=peers.address) as fastapi,
        servers.null("bare") as bare,
    ):
        yield (
            harness.rides_contender("ridehail", ours, _CARD, _card, rides=rides, dependencies=[dependencies]),
            harness.rides_contender(
                "fastapi", fastapi, "/3.0/taxiontheway", _card_as_json, rides=rides, dependencies=[peers]
            ),
            harness.contender("null handler", bare, RETRIEVE, one_order),
        )


def _card(order: str) -> bytes:
    return api.TaxiOnTheWayRequest(order_id=order).SerializeToString()


def _card_as_json(order: str) -> bytes:
    return json.dumps({"order_id": order}).encode()


CASES = {
    "taxi-on-the-way": Case(
        "TaxiOnTheWay with a warm cache, one random ride a call",
        _cards,
        (
            Goal(
                "requests/s, ridehail / fastapi, dependencies included",
                lambda by: by["ridehail"].requests_per_s / by["fastapi"].requests_per_s,
                2.5,
                at_least=True,
            ),
            against_null(2.3),
            Goal(
                "CPU a request with dependencies, ridehail / null handler",
                lambda by: (by["ridehail"].server_us + by["ridehail"].dependencies_us) / by["null handler"].server_us,
                3.3,
                at_least=False,
            ),
        ),
    ),
}
