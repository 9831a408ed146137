"""Polls of orders' states."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from google.protobuf import json_format

from bench.case import RETRIEVE, Case, against_fastapi, against_null, one_order
from bench.comparison import Contender
from bench.harness import Harness
from ridehail.orderstate.v1 import order_state_api_pb2 as api

_POLL = "/ridehail.orderstate.v1.PassengerOrderStateService/PollOrdersState"
# Of five orders each.
_RIDERS = 100_000
# Apps poll each five to ten seconds with a ticket of minutes: the server has seen nearly every ticket before.
_ACTIVE_RIDERS = 5_000
# The app has two of the three parts of each order.
_KNOWN_SERVICES = ("taxi", "taxi", "taxi", "eats", "grocery")
_KNOWN_TAGS = {"fast_info": "1590674416", "part2": "1590674416", "route": "1590674415"}


def _known_orders(uid: str) -> list[dict[str, object]]:
    return [
        {"orderid": f"{uid}-{number}", "service": service, "status": "driving", "tags": _KNOWN_TAGS}
        for number, service in enumerate(_KNOWN_SERVICES, start=1)
    ]


def _poll(uid: str) -> bytes:
    return json_format.ParseDict({"known_orders": _known_orders(uid)}, api.PollOrdersStateRequest()).SerializeToString()


@contextmanager
def _polls(harness: Harness) -> Iterator[Sequence[Contender]]:
    riders = min(harness.orders, _RIDERS)
    url = harness.tables.orders_state(riders)
    with (
        harness.servers.ridehail("order-state", database_url=url) as ours,
        harness.servers.fastapi("fastapi_order_state", database_url=url) as fastapi,
        harness.servers.null("bare") as bare,
    ):
        yield (
            harness.passengers_contender(
                "ridehail", ours, _POLL, _poll, service="order-state", riders=riders, active=_ACTIVE_RIDERS
            ),
            harness.passengers_contender(
                "fastapi",
                fastapi,
                "/mlutp/v1/orders/state",
                lambda uid: json.dumps({"known_orders": _known_orders(uid)}).encode(),
                service=None,
                riders=riders,
                active=_ACTIVE_RIDERS,
            ),
            harness.contender("null handler", bare, RETRIEVE, one_order),
        )


CASES = {
    "poll-orders": Case(
        f"PollOrdersState of {len(_KNOWN_SERVICES)} orders of {len(_KNOWN_TAGS)} parts, one random rider a call",
        _polls,
        (against_fastapi(1.6), against_null(1.3)),
    ),
}
