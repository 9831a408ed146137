"""Which banners there are, for whom, in which language, and in which state."""

from __future__ import annotations

import pytest
import yaml
from google.protobuf import json_format
from prometheus_client import REGISTRY

from ridehail.inapp.v1 import inapp_api_pb2 as api
from ridehail_clients import Promo
from tests.inapp_communications.conftest import Harness
from tests.support.calls import call
from tests.support.contract_rules import broken_rules, callers_of
from tests.support.fault_proxy import Fault, down, erroring, hanging

PROMOS = "/ridehail.inapp.v1.InappCommunicationsService/PromosOnTheWay"
RUSSIAN = ("Поделиться поездкой с семьёй", "Близкие увидят, где вы, пока вы не приедете")  # noqa: RUF001
DOCUMENTED = """
{
    "sharing_key": "e1c6a56f649ac6bea97360268d18f554",
    "order_id": "e481a19a14ffc3a8962649bd4b78fc20",
    "share_ride_with_family": {
        "value": true
    }
}
"""
SHARE, BELT = "share_ride_with_family", "seat_belt"


async def shown(harness: Harness, **request: object) -> list[tuple[str, bool | None]]:
    """Returns the banners and the states of their toggles."""
    response = await harness.client.promos_on_the_way(order_id="order", **request)  # type: ignore[arg-type]
    return [(promo.id, promo.is_selected) for promo in response.promos]


async def test_the_toggle_shows_what_is_stored_whatever_the_rider_has_just_set(harness: Harness) -> None:
    for moved in (None, True, False):
        request = {"sharing_key": "never", "family_role": "user", "share_ride_with_family": moved}
        assert await shown(harness, **request) == [(SHARE, False), (BELT, None)]
    for stored in (True, False, True):
        await harness.share("key", on=stored)
        for moved in (None, True, False):
            request = {"sharing_key": "key", "family_role": "user", "share_ride_with_family": moved}
            assert await shown(harness, **request) == [(SHARE, stored), (BELT, None)]


def moved_toggles() -> dict[str, float]:
    """Returns how often a rider had just moved the toggle, by whether that was stored."""
    return {
        stored: REGISTRY.get_sample_value("ridehail_inapp_moved_toggles_total", {"stored": stored}) or 0
        for stored in ("yes", "no")
    }


async def test_a_toggle_that_is_not_stored_as_the_rider_has_set_it_is_counted(harness: Harness) -> None:
    await harness.share("key", on=True)
    before = moved_toggles()
    for moved in (None, True, False):
        await shown(harness, sharing_key="key", family_role="user", share_ride_with_family=moved)
    assert moved_toggles() == {stored: count + 1 for stored, count in before.items()}


async def test_the_documented_json_is_taken_as_it_is_written(harness: Harness) -> None:
    await harness.share("e1c6a56f649ac6bea97360268d18f554", on=True)
    request = json_format.Parse(DOCUMENTED, api.PromosOnTheWayRequest())
    request.family_role = "user"
    metadata = harness.suite.metadata("api-proxy", "inapp-communications")
    response = api.PromosOnTheWayResponse.FromString(await call(harness.channel, PROMOS, request, metadata=metadata))
    assert [promo.is_selected for promo in response.promos if promo.id == SHARE] == [True]


@pytest.mark.parametrize(
    ("role", "key", "expected", "banner_set"),
    [
        ("user", "key", [(SHARE, False), (BELT, None)], "family"),
        ("user", "", [(BELT, None)], "family"),
        ("owner", "key", [(BELT, None)], "everybody"),
        ("", "key", [(BELT, None)], "everybody"),
    ],
)
async def test_who_sees_what(
    harness: Harness, role: str, key: str, expected: list[tuple[str, bool | None]], banner_set: str
) -> None:
    response = await harness.client.promos_on_the_way(order_id="order", sharing_key=key, family_role=role)
    assert [(promo.id, promo.is_selected) for promo in response.promos] == expected
    assert response.banner_set == banner_set
    needs_state = (SHARE, False) in expected
    assert harness.faults.called == (["RouteSharingService/GetSharingInfo"] if needs_state else [])


@pytest.mark.parametrize(
    ("locale", "title", "text"),
    [
        ("ru", *RUSSIAN),
        ("ru-RU, en;q=0.8", *RUSSIAN),
        ("iw-IL", "לשתף את הנסיעה עם המשפחה", "הם יראו איפה אתם עד שתגיעו"),
        ("fi, he;q=0.5, ru;q=0.1", "לשתף את הנסיעה עם המשפחה", "הם יראו איפה אתם עד שתגיעו"),
        ("en-GB", "Share this ride with your family", "They will see where you are until you arrive"),
        ("fi", "Share this ride with your family", "They will see where you are until you arrive"),
        ("", "Share this ride with your family", "They will see where you are until you arrive"),
        (";;q=,\n", "Share this ride with your family", "They will see where you are until you arrive"),
    ],
)
async def test_banners_are_in_the_riders_language(harness: Harness, locale: str, title: str, text: str) -> None:
    response = await harness.client.promos_on_the_way(
        order_id="order", sharing_key="key", family_role="user", locale=locale
    )
    assert response.promos[0] == Promo(SHARE, title, text, "https://example.com/banners/family.png", is_selected=False)


@pytest.mark.parametrize("fault", [hanging, down, erroring])
async def test_while_the_state_is_unknown_there_are_no_banners_in_time(harness: Harness, fault: Fault) -> None:
    """Within the time of the contract, that is: else there would be an error."""
    harness.faults.fail(fault, "RouteSharingService")
    response = await harness.client.promos_on_the_way(
        order_id="order", sharing_key="key", family_role="user", timeout=5
    )
    assert (response.promos, response.banner_set) == ((), "")
    assert await shown(harness, sharing_key="key", family_role="owner") == [(BELT, None)]


async def test_nobody_without_a_set_is_shown_anything(harness: Harness) -> None:
    shipped = harness.banners.read_text()
    banners = [{"id": "one", "title": {"en": "One"}}]
    owners = {"name": "owners", "family_roles": ["owner"], "banners": banners}
    harness.banners.write_text(yaml.safe_dump({"banner_sets": [owners]}))
    harness.controls.reload()
    try:
        assert await shown(harness, family_role="owner") == [("one", None)]
        response = await harness.client.promos_on_the_way(order_id="order", family_role="user")
        assert (response.promos, response.banner_set) == ((), "")
    finally:
        harness.banners.write_text(shipped)
        harness.controls.reload()


BAD: dict[str, tuple[api.PromosOnTheWayRequest, str, str]] = {
    "no order": (api.PromosOnTheWayRequest(), "order_id", "string.id"),
    "a long order": (api.PromosOnTheWayRequest(order_id="x" * 129), "order_id", "string.id"),
    "an order with a line feed": (api.PromosOnTheWayRequest(order_id="a\nb"), "order_id", "string.id"),
    "a long key": (api.PromosOnTheWayRequest(order_id="a", sharing_key="x" * 129), "sharing_key", "string.max_len"),
    "a key with NUL": (api.PromosOnTheWayRequest(order_id="a", sharing_key="a\0b"), "sharing_key", "string.pattern"),
    "a role of its own": (api.PromosOnTheWayRequest(order_id="a", family_role="admin"), "family_role", "string.in"),
    "a long locale": (api.PromosOnTheWayRequest(order_id="a", locale="x" * 257), "locale", "string.max_len"),
}


def test_bad_input_is_refused_by_name() -> None:
    for name, (request, field, rule) in BAD.items():
        assert broken_rules(request) == [(field, rule)], name


def test_api_proxy_alone_may_call() -> None:
    assert callers_of(PROMOS) == {"api-proxy"}
