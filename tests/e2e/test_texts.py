"""The five texts' JSON and paths, verbatim, through the gateway.

Each case is a request as its text writes it; ids and members that a text leaves out are those of the demo data.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from tests.support.up import RunningCommand
from tests.support.waiting import LIMIT_S

SHARING_KEY, ORDER = "e1c6a56f649ac6bea97360268d18f554", "e481a19a14ffc3a8962649bd4b78fc20"
UID = "4000000001"  # of the demo's family, with the role `user`
KNOWN_ORDERS = [
    {
        "orderid": "order1",
        "status": "driving",
        "tags": {"taxiontheway": "1590674415"},
        "force": True,
        "service": "taxi",
    },
    {
        "orderid": "order1",
        "status": "delivering",
        "tags": {"eats_tracking": "1590674415"},
        "force": False,
        "service": "eats",
    },
]
LAUNCH_ORDERS = [
    {
        "orderid": "order1",
        "tags": {"fast_info": "encoded_tags", "part2": "encoded_tags"},
        "service": "taxi",
        "status": "driving",
    },
    {
        "orderid": "order1",
        "tags": {"full_info": "encoded_tag"},
        "service": "eats",
        "status": "cooking",
        "some_field": "some_value",
    },
]
POLL = {
    "known_orders": KNOWN_ORDERS,
    "tags": {"eats": "encoded_tags", "grocery": "encoded_tags", "taxi": "encoded_tags"},
}
LAUNCH = {"supported_services": ["taxi", "eats", "grocery", "etc..."], "known_orders": LAUNCH_ORDERS}
TOGGLE = {"share_ride_with_family": {"value": True}}
SWITCH = {"order_id": "demo-order-toll", "has_toll_road": True, "created": "2026-03-01T12:00:00Z"}


@dataclass(frozen=True)
class Case:
    """A request of a text, and the status and members of its answer.

    Attributes:
        path: As in the text.
        caller: Of a service's call: who calls whom; None: a rider's app calls.
        body: None: a GET.
        status: Of HTTP.
        members: Those that the answer has.
    """

    path: str
    body: dict[str, Any] | None
    members: tuple[str, ...] = ()
    caller: tuple[str, str] | None = None
    status: int = 200


CASES = {
    # 001: the polling of orders
    "poll": Case("/mlutp/v1/orders/state", POLL, ("orders", "allowed_changes", "tags")),
    "poll, by the gateway's prefix": Case("/4.0/mlutp/v1/orders/state", POLL, ("orders", "allowed_changes", "tags")),
    "launch": Case("/3.0/launch", LAUNCH, ("mlutp_orders_state",)),
    "orders state": Case(
        "/v1/orders/state",
        {"yandex_uid": UID, **LAUNCH, "known_orders": KNOWN_ORDERS},
        ("orders", "allowed_changes", "polling_policy"),
        ("api-proxy", "order-state"),
    ),
    "orders of eats": Case("/v1/eats/orders/state", {"yandex_uid": UID}, ("orders",), ("api-proxy", "order-state")),
    "active orders": Case("/order-core/active-orders", {"yandex_uid": UID}, ("orders",), ("api-proxy", "order-core")),
    # 002: agreements
    "list": Case(
        "/v1/list", {"yandex_uid": UID, "filter": "unknown", "zone_name": "moscow"}, ("eulas",), ("tc", "eulas")
    ),
    "check": Case(
        "/v1/check",
        {"yandex_uid": UID, "eula_types": ["surge"], "zone_name": "tel_aviv"},
        ("eulas",),
        ("routestats", "eulas"),
    ),
    "list of an app": Case("/4.0/eulas/v1/list", {"filter": "signed"}, ("eulas",)),
    "save of an app": Case("/4.0/eulas/v1/save", {"eulas": [{"eula_id": "sdc", "status": "accepted"}]}, ("refresh",)),
    "routestats": Case("/routestats", {"zone_name": "tel_aviv", "tariffs": ["econom"]}, ("tariffs", "hidden")),
    "zoneinfo": Case("/zoneinfo", {"zone_name": "tel_aviv"}, ("need_acceptance", "need_acceptence")),
    # 003: rides for the family
    "order info": Case(
        "/v1/tc/order-info", {"order_id": ORDER}, ("order_id", "sharing_key"), ("api-proxy", "order-core")
    ),
    "card": Case("/taxiontheway", {"order_id": ORDER, "user_actions": TOGGLE}, ("order_id", "status", "promos")),
    "promos": Case(
        "/promos-on-the-way",
        {"sharing_key": SHARING_KEY, "order_id": ORDER, **TOGGLE},
        ("promos",),
        ("api-proxy", "inapp-communications"),
    ),
    "share with family": Case(
        "/share-with-family",
        {"order_id": ORDER, "sharing_key": SHARING_KEY, **TOGGLE},
        (),
        ("api-proxy", "route-sharing"),
    ),
    "sharing info": Case(
        f"/sharing-info?sharing_key={SHARING_KEY}",
        None,
        ("phone_ids", "family"),
        ("inapp-communications", "route-sharing"),
    ),
    "info": Case(f"/v1/info?sharing_key={SHARING_KEY}", None, ("popup_title",)),
    # 004: toll roads
    "offer": Case("/toll-roads/v1/offer", {"offer_id": "offer"}, (), ("routestats", "toll-roads")),
    "road": Case(
        "/toll-roads/v1/order/retrieve",
        {"order_id": "demo-order-toll"},
        ("has_toll_road", "can_switch_road", "created"),
        ("driver-orders-builder", "toll-roads"),
    ),
    "switch of the road": Case("/4.0/toll-roads/v1/order", SWITCH),
    "switch of the road, as stage 3 spells it": Case("/4.0/toll_roads/v1/order", SWITCH),
    "order fields": Case(
        "/order-core/order-fields",
        {"order_id": ORDER, "fields": ["order.fixed_price.price", "order.version", "order.user_id"]},
        ("fields", "version"),
        ("toll-roads", "order-core"),
    ),
    "set order fields": Case(
        "/order-core/set-order-fields",
        {"order_id": ORDER, "set": {"order_info.need_sync": True}, "call_processing": True},
        ("version",),
        ("toll-roads", "order-core"),
    ),
}


@pytest.fixture(scope="module")
def texts_suite(demo_suite: RunningCommand) -> RunningCommand:
    """The demo data, and the order of the third text, which its rider has shared."""
    document = {"order": {"rsk": SHARING_KEY, "status": "driving", "fixed_price": {"price": 100}, "user_id": "user"}}
    put = Case("/order-core/put-order", {"order_id": ORDER, "yandex_uid": UID, "document": document}, ("version",))
    status, answer = asked(demo_suite, replace(put, caller=("admin", "order-core")))
    assert (status, list(answer)) == (200, ["version"])
    assert asked(demo_suite, CASES["share with family"]) == (200, {})
    return demo_suite


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_request_of_a_text_works_as_it_is_written(texts_suite: RunningCommand, case: Case) -> None:
    status, answer = asked(texts_suite, case)
    assert (status, case.members) == (case.status, tuple(one for one in case.members if one in answer)), answer


def test_the_rider_of_a_shared_ride_is_taken_from_the_order(texts_suite: RunningCommand) -> None:
    assert asked(texts_suite, CASES["share with family"]) == (200, {})
    status, info = asked(texts_suite, CASES["sharing info"])
    assert (status, info["family"]["sharing_on"]) == (200, True)
    # The rider may watch the ride: so it is the rider who was taken from the order.
    assert asked(texts_suite, CASES["info"])[0] == 200


def test_a_known_order_comes_back_with_what_the_app_sent(texts_suite: RunningCommand) -> None:
    """Of a service that is not asked, the status is the app's: "the status that clients sent"."""
    poll = replace(CASES["poll"], body={"known_orders": KNOWN_ORDERS})
    _status, answer = asked(texts_suite, poll)
    assert [order["status"] for order in answer["orders"]] == ["driving", "delivering"]


def test_both_spellings_of_what_is_to_be_accepted_say_the_same(texts_suite: RunningCommand) -> None:
    _status, answer = asked(texts_suite, CASES["zoneinfo"])
    assert answer["need_acceptance"] == answer["need_acceptence"] != []


def asked(running: RunningCommand, case: Case) -> tuple[int, dict[str, Any]]:
    """Returns the status and the body of the response."""
    keys = running.data_dir / "keys"
    if case.caller is None:
        now, ttl = datetime.now(UTC), timedelta(hours=1)
        token = issue_session_token(
            KeyRing(keys / "sessions"), yandex_uid=UID, user_id=UID, family_role="user", now=now, ttl=ttl
        )
        base, header = running.ready["http"], {"authorization": f"Bearer {token}"}
    else:
        source, destination = case.caller
        ticket = TicketIssuer(KeyRing(keys / "tickets"), source)(destination)
        base, header = running.ready["internal_http"], {"x-ya-service-ticket": ticket}
    body = None if case.body is None else json.dumps(case.body).encode()
    request = urllib.request.Request(f"http://{base}{case.path}", body, {"content-type": "application/json", **header})
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
