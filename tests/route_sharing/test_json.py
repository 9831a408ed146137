"""The JSON paths, through the gateway: examples to the letter, strangers, forged headers, bad queries and bodies."""

from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import grpc
import pytest

from ridehail.routesharing.v1 import route_sharing_api_pb2 as api
from ridehail_clients import AsyncPassengerRouteSharingClient, FamilyAdmin, FamilyMember, SharedRide, SharingKeyNotFound
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from tests.route_sharing.harness import GET_INFO, T0, Harness
from tests.route_sharing.harness import harness as running_harness
from tests.support.calls import failure_of
from tests.support.harness import Harness as Gateway
from tests.support.harness import behind_a_gateway
from tests.support.waiting import LIMIT_S

GOLDEN = Path(__file__).parent / "golden"
SHARE, INFO, WATCH = "/share-with-family", "/sharing-info", "/4.0/order-route-sharing/v1/info"
ADMIN, RIDER = FamilyAdmin("393627008", "Василий"), FamilyMember("4000000001", "phone-rider")
ADMIN_PHONE = "5db2bb01211473c8c34f358d"
NUL, LONG, INVISIBLE = "a\0b", "x" * 129, "a\u200bb"


def golden(name: str) -> dict[str, Any]:
    return dict(json.loads((GOLDEN / f"{name}.json").read_text()))


@dataclass(frozen=True)
class Town:
    """Both services behind a gateway."""

    harness: Harness
    gateway: Gateway

    def session(self, uid: str, phone_id: str = "") -> dict[str, str]:
        keys = KeyRing(self.harness.suite.settings.keys_dir / "sessions")
        token = issue_session_token(keys, yandex_uid=uid, phone_id=phone_id, ttl=timedelta(hours=1), now=T0)
        return {"authorization": f"Bearer {token}"}

    def ticket(self, source: str) -> dict[str, str]:
        return dict(self.harness.ticket(source))

    async def send(
        self, verb: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Returns status and JSON of a response."""
        gateway = self.gateway.gateway
        port = gateway.public_port if path.startswith("/4.0/") else gateway.internal_port

        def exchange() -> tuple[int, dict[str, Any]]:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
            try:
                connection.request(verb, path, body, dict(headers))
                response = connection.getresponse()
                return response.status, json.loads(response.read())
            finally:
                connection.close()

        return await asyncio.to_thread(exchange)

    async def share(self, body: object) -> tuple[int, dict[str, Any]]:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.send("POST", SHARE, self.ticket("api-proxy"), encoded)

    async def info(self, query: str) -> tuple[int, dict[str, Any]]:
        return await self.send("GET", f"{INFO}{query}", self.ticket("inapp-communications"))

    async def watch(self, query: str, headers: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        return await self.send("GET", f"{WATCH}{query}", headers)


@pytest.fixture(scope="module")
async def module_town(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Town]:
    running = running_harness(
        database_url=module_database_url,
        keys_dir=keys_dir,
        config_dir=module_config_dir,
        services=("family", "route-sharing", "passenger-authorizer"),
    )
    async with running as harness, behind_a_gateway(harness.suite, tmp_path_factory.mktemp("gateway")) as gateway:
        yield Town(harness, gateway)


@pytest.fixture
async def town(module_town: Town) -> Town:
    """There is a family, and no ride."""
    await module_town.harness.suite.empty_tables()
    await module_town.harness.make_family(ADMIN, ADMIN_PHONE, RIDER)
    return module_town


async def test_the_examples_work_to_the_letter(town: Town) -> None:
    assert await town.share(golden("share_with_family.request")) == (200, golden("share_with_family.response"))
    expected = golden("sharing_info.response")
    expected["family"]["admin_uid"] = str(expected["family"]["admin_uid"])  # 64-bit numbers are strings in JSON
    assert await town.info(f"?{urlencode(golden('sharing_info.request'))}") == (200, expected)
    # Nobody's ride: no family at all, rather than an empty one.
    assert await town.info("?sharing_key=nothing") == (200, {"phone_ids": []})
    # Before the first toggle: the rider's family.
    await town.harness.insert("phone-friend", key="new", order="new", rider=RIDER.yandex_uid)
    off = {"admin_name": ADMIN.name, "admin_uid": ADMIN.yandex_uid, "sharing_on": False}
    assert await town.info("?sharing_key=new") == (200, {"phone_ids": ["phone-friend"], "family": off})
    shown = await town.watch(f"?{urlencode(golden('sharing_info.request'))}", town.session("1", ADMIN_PHONE))
    order = golden("share_with_family.request")["order_id"]
    assert shown == (200, {"order_id": order, "popup_title": "A ride on the family account of Василий"})


async def test_a_ride_is_shown_in_the_language_of_the_header_and_to_strangers_not_at_all(town: Town) -> None:
    await town.harness.insert("phone-other", key="other-key", order="other-order", rider="3")
    await town.share(golden("share_with_family.request"))
    key = golden("sharing_info.request")["sharing_key"]
    member, rider = town.session("9", ADMIN_PHONE), town.session(RIDER.yandex_uid)
    for language, caption in (
        ("ru-RU", "Семейная поездка, платит Василий"),
        ("iw", "נסיעה בחשבון המשפחתי של Василий"),
        ("xx", "A ride on the family account of Василий"),
    ):
        for session in (member, rider):
            status, shown = await town.watch(f"?sharing_key={key}", {**session, "accept-language": language})
            assert (status, shown["popup_title"]) == (200, caption)

    # Each claims, in headers that only the gateway may set, to be somebody who may watch.
    forged = {
        "x-yandex-uid": RIDER.yandex_uid,
        "x-yataxi-phone-id": ADMIN_PHONE,
        "x-ya-family-role": "owner",
        "x-yataxi-userid": "user",
        **dict(town.harness.ticket("gateway")),
    }
    strangers = {
        "another's key": (key, town.session("3", "phone-other")),
        "another phone": (key, town.session("9", "phone-9")),
        "no phone": (key, town.session("9")),
        "the admin without the phone": (key, town.session(ADMIN.yandex_uid)),
        "the rider's phone": (key, town.session("9", RIDER.phone_id)),
        "no such key": ("nothing", member),
    }
    public = f"127.0.0.1:{town.gateway.gateway.public_port}"
    async with grpc.aio.insecure_channel(public) as channel:
        for name, (requested, session) in strangers.items():
            for headers in (session, {**session, **forged}):
                status, error = await town.watch(f"?sharing_key={requested}", headers)
                info = error["details"][0]
                assert (status, info["reason"], info["metadata"]) == (404, "SHARING_KEY_NOT_FOUND", {}), name
                request = api.GetInfoRequest(sharing_key=requested)
                failure = await failure_of(channel, GET_INFO, request, metadata=tuple(headers.items()))
                assert (failure.code, failure.reason) == (grpc.StatusCode.NOT_FOUND, "SHARING_KEY_NOT_FOUND"), name
        status, error = await town.watch(f"?sharing_key={key}", forged)
        assert (status, error["details"][0]["reason"]) == (401, "SESSION_MISSING")
        request = api.GetInfoRequest(sharing_key=key)
        failure = await failure_of(channel, GET_INFO, request, metadata=tuple(forged.items()))
        assert failure.reason == "SESSION_MISSING"

    token = member["authorization"].removeprefix("Bearer ")
    async with AsyncPassengerRouteSharingClient(public, session_token=token, attempt_timeout=30.0) as client:
        shown_natively = await client.get_info(sharing_key=key, metadata=(("accept-language", "ru"),))
        assert isinstance(shown_natively, SharedRide)
        assert shown_natively.popup_title == "Семейная поездка, платит Василий"
        with pytest.raises(SharingKeyNotFound):
            await client.get_info(sharing_key="nothing")
    written = "".join(
        (Path(town.gateway.gateway.log_dir) / name).read_text() for name in ("envoy-access.log", "envoy.log")
    )
    assert key not in written
    assert ADMIN_PHONE not in written


NOT_AN_ID = ("sharing_key", "string.id")
# A query, and field and rule by which it is refused; without them it is the gateway that refuses.
BAD_QUERIES = {
    "": NOT_AN_ID,
    "?": NOT_AN_ID,
    "?sharing_key": NOT_AN_ID,
    "?sharing_key=": NOT_AN_ID,
    f"?sharing_key={LONG}": NOT_AN_ID,
    f"?sharing_key={quote(NUL)}": NOT_AN_ID,
    "?sharing_key=a%0ab": NOT_AN_ID,
    f"?sharing_key={quote(INVISIBLE)}": NOT_AN_ID,
    "?sharing_key=%ff": ("", "message.encoding"),
    "?sharing_key=key&unknown=1": None,
    "?unknown=1": None,
    "?SHARING_KEY=key": None,
    "?sharing_key.x=1": None,
    "?sharing_key[]=key": None,
}
NO_IDS: tuple[object, ...] = (7, True, ["a"], [{}], {"a": "b"})
NO_TOGGLES: tuple[object, ...] = (7, True, "on", [{}])
NO_FLAGS: tuple[object, ...] = ("perhaps", 1, [], {}, "")
BAD_BODIES: list[tuple[object, tuple[str, str] | None]] = [
    *(
        (golden("share_with_family.request") | {name: value}, (name, "string.id"))
        for name in ("order_id", "sharing_key", "yandex_uid")
        for value in ("", LONG, NUL, "a\nb", "a\u200bb", "a\u2028b")
    ),
    *(
        (golden("share_with_family.request") | {name: None}, (name, "string.id"))
        for name in ("order_id", "sharing_key")  # without a rider it is the order's
    ),
    *(
        (golden("share_with_family.request") | {name: value}, None)
        for name in ("order_id", "sharing_key", "yandex_uid")
        for value in NO_IDS
    ),
    *((golden("share_with_family.request") | {"share_ride_with_family": value}, None) for value in NO_TOGGLES),
    (golden("share_with_family.request") | {"share_ride_with_family": None}, ("share_ride_with_family", "required")),
    *((golden("share_with_family.request") | {"share_ride_with_family": {"value": value}}, None) for value in NO_FLAGS),
    *((body, None) for body in (b"{", b"[]", b'"text"', b"\x00", b"{} {}", b"\xff")),
]


async def test_bad_queries_and_bodies_are_refused_and_nothing_is_stored(town: Town) -> None:
    session = town.session("9", ADMIN_PHONE)
    for query, violation in BAD_QUERIES.items():
        for status, error in (await town.info(query), await town.watch(query, session)):
            assert refusal(status, error) == (400, violation), (query, error)
    for body, violation in BAD_BODIES:
        status, error = await town.share(body)
        assert status == 400, body
        assert refusal(status, error) == (400, violation), (body, error)
    status, _error = await town.share(golden("share_with_family.request") | {"padding": "x" * 300_000})
    assert status == 413
    for verb, path, headers in (
        ("POST", INFO, town.ticket("inapp-communications")),
        ("GET", SHARE, town.ticket("api-proxy")),
        ("PUT", SHARE, town.ticket("api-proxy")),
        ("POST", WATCH, session),
        ("GET", "/4.0/order-route-sharing/v1/infos", session),
        ("GET", "/4.0/share-with-family", session),
    ):
        status, error = await town.send(verb, f"{path}?sharing_key=key", headers, b"{}" if verb != "GET" else None)
        assert (status, error["details"]) == (404, []), (verb, path)
    for path, headers in ((SHARE, session), (INFO, session), (SHARE, {}), (INFO, {})):
        status, error = await town.send("POST" if path == SHARE else "GET", path, headers, b"{}")
        assert (status, error["details"][0]["reason"]) == (401, "TICKET_MISSING")
    assert not any((await town.harness.tables()).values())


async def test_of_a_parameter_given_twice_the_last_one_counts(town: Town) -> None:
    await town.harness.insert("phone-friend", key="second")
    status, info = await town.info("?sharing_key=first&sharing_key=second")
    assert (status, info) == (200, {"phone_ids": ["phone-friend"]})
    # Not even beside a key of one's own does another's show anything.
    status, _error = await town.watch("?sharing_key=first&sharing_key=second", town.session("9", "phone-9"))
    assert status == 404


def refusal(status: int, error: dict[str, Any]) -> tuple[int, tuple[str, str] | None]:
    """Returns status, and the broken rule by field; None when the gateway refused."""
    if not error["details"]:
        return status, None
    info, request = error["details"]
    assert info["reason"] == "INVALID_REQUEST"
    (violation,) = request["field_violations"]
    return status, (violation["field"], violation["reason"])
