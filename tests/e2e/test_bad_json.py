"""Bad input of every kind on every JSON path: each gets its code, reason and field, and nothing is stored."""

from __future__ import annotations

import asyncio
import http.client
import json
import urllib.parse
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import Harness, behind_a_gateway
from tests.support.suite_in_process import suite_in_process
from tests.support.waiting import LIMIT_S, until

CREATED = "2026-11-20T12:00:00Z"
NUL, LONG = "a\u0000b", "x" * 129
NO_TIMES: tuple[object, ...] = ("yesterday", 7, "0000-01-01T00:00:00Z")
ZONE_MISSING = ("zone_name", "eulas.zone_name")
NO_FLAGS: tuple[object, ...] = ("perhaps", 7, [])
UNSAID_TOGGLES: list[object] = [{}, {"value": None}, {"valeu": True}]
NO_TOGGLES: tuple[object, ...] = (7, "on", [], {"value": "perhaps"})
NO_TARIFFS: tuple[object, ...] = (7, {"a": "b"}, [7])


@dataclass(frozen=True)
class Endpoint:
    """A JSON path, its caller, and a valid body."""

    path: str
    source: str | None
    body: dict[str, Any]
    service: str = "toll-roads"


OFFER = Endpoint("/toll-roads/v1/offer", "routestats", {"offer_id": "offer"})
RETRIEVE = Endpoint("/toll-roads/v1/order/retrieve", "api-proxy", {"order_id": "order"})
SWITCH = Endpoint("/4.0/toll-roads/v1/order", None, {"order_id": "order", "has_toll_road": True, "created": CREATED})
ROUTESTATS = Endpoint("/3.0/routestats", None, {"zone_name": "tel_aviv", "tariffs": ["econom"]})
ZONE_INFO = Endpoint("/3.0/zoneinfo", None, {"zone_name": "tel_aviv"})
_UNKNOWN, _ANSWER = {"filter": "unknown", "zone_name": "moscow"}, {"eula_id": "sdc", "status": "accepted"}
LIST = Endpoint("/v1/list", "api-proxy", {"yandex_uid": "400", **_UNKNOWN}, "eulas")
SAVE = Endpoint("/v1/save", "admin", {"yandex_uid": "400", "eulas": [_ANSWER]}, "eulas")
CHECK = Endpoint("/v1/check", "api-proxy", {"yandex_uid": "400", "eula_ids": ["sdc"]}, "eulas")
OWN_LIST = Endpoint("/4.0/eulas/v1/list", None, _UNKNOWN, "eulas")
OWN_SAVE = Endpoint("/4.0/eulas/v1/save", None, {"eulas": [_ANSWER]}, "eulas")
CARD = Endpoint("/3.0/taxiontheway", None, {"order_id": "order"}, "api-proxy")
PROMOS = Endpoint("/promos-on-the-way", "api-proxy", {"order_id": "order"}, "inapp-communications")
_RIDE = {"order_id": "order", "sharing_key": "key", "yandex_uid": "1", "share_ride_with_family": {"value": True}}
SHARE = Endpoint("/share-with-family", "api-proxy", _RIDE, "route-sharing")
STATE = Endpoint("/v1/personalstate/get", "api-proxy", {"yandex_uid": "400"}, "user-state")
UPDATE = Endpoint("/v1/personalstate/update", "api-proxy", {"yandex_uid": "400", "revision_id": "0"}, "user-state")
_ANSWERS = {"old": {"a": 1}, "new": {"a": 1}, "old_status": 200, "new_status": 200}
COMPARE = Endpoint(
    "/internal/compare_jsons", "api-proxy", {"request_id": "r", "kind": "read", **_ANSWERS}, "user-state"
)
_DEEP: dict[str, Any] = {"a": 1}
for _ in range(25):
    _DEEP = {"a": _DEEP}
BAD_UPDATES: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"selected_category": LONG}, ("selected_category", "string.max_len")),
    ({"selected_category": NUL}, ("selected_category", "string.pattern")),
    ({"tariffs": [{"category": "a"}] * 2}, ("tariffs", "personal_state.unique_category")),
    ({"tariffs": [{}]}, ("tariffs[0].category", "string.id")),
    ({"tariffs": [{"category": "a"}] * 101}, ("tariffs", "repeated.max_items")),
    *(
        ({"tariffs": [{"category": "a", "requirements": bad}]}, (f"tariffs[0].requirements{path}", f"json.{rule}"))
        for bad, path, rule in (
            ({NUL: 1}, "", "no_nul"),
            ({"a": [NUL]}, '["a"][0]', "no_nul"),
            (_DEEP, '["a"]' * 25, "depth"),
        )
    ),
]
BAD_COMPARISONS: list[tuple[dict[str, Any], tuple[str, str]]] = [
    ({"kind": "Read"}, ("kind", "string.in")),
    ({"old_status": 99}, ("old_status", "int32.gte_lte")),
    ({"new_status": 600}, ("new_status", "int32.gte_lte")),
]
PATHS = (
    *(CARD, PROMOS, OFFER, RETRIEVE, SWITCH, ROUTESTATS, ZONE_INFO, LIST, SAVE, CHECK, OWN_LIST, OWN_SAVE),
    *(STATE, UPDATE, COMPARE),
)


@dataclass(frozen=True)
class Case:
    """A body that is refused, and how. Without a reason the gateway refuses it."""

    at: Endpoint
    body: object
    status: int = 400
    reason: str | None = "INVALID_REQUEST"
    violation: tuple[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)


def bad_ids(at: Endpoint, name: str) -> list[Case]:
    """Returns invalid ids."""
    values = ["", LONG, "a\nb", "a\u007fb", NUL, "a\u200bb"]
    refused = [Case(at, at.body | {name: value}, violation=(name, "string.id")) for value in values]
    missing = {key: value for key, value in at.body.items() if key != name}
    mistyped = [Case(at, at.body | {name: value}, reason=None) for value in (7, True, {}, ["a"], {"a": "b"})]
    return [*refused, Case(at, missing, violation=(name, "string.id")), *mistyped]


CASES = [
    *bad_ids(OFFER, "offer_id"),
    *bad_ids(RETRIEVE, "order_id"),
    *bad_ids(SWITCH, "order_id"),
    *bad_ids(ROUTESTATS, "zone_name"),
    *bad_ids(ZONE_INFO, "zone_name"),
    *bad_ids(CARD, "order_id"),
    *bad_ids(PROMOS, "order_id"),
    *(
        Case(PROMOS, PROMOS.body | changed, violation=violation)
        for changed, violation in [
            ({"sharing_key": LONG}, ("sharing_key", "string.max_len")),
            ({"sharing_key": NUL}, ("sharing_key", "string.pattern")),
            ({"family_role": "admin"}, ("family_role", "string.in")),
            ({"locale": "x" * 257}, ("locale", "string.max_len")),
        ]
    ),
    *(Case(PROMOS, PROMOS.body | {"share_ride_with_family": value}, reason=None) for value in NO_TOGGLES),
    *(case for at in (LIST, SAVE, CHECK) for case in bad_ids(at, "yandex_uid")),
    *(
        Case(at, at.body | {"filter": value}, violation=("filter", "string.in"))
        for at in (LIST, OWN_LIST)
        for value in ("", "Unknown", "every", LONG)
    ),
    *(Case(at, {"yandex_uid": "400", "filter": "all"}, violation=ZONE_MISSING) for at in (LIST, OWN_LIST)),
    *(
        Case(at, at.body | {"eulas": answers}, violation=violation)
        for at in (SAVE, OWN_SAVE)
        for answers, violation in [
            ([], ("eulas", "repeated.min_items")),
            ([_ANSWER] * 101, ("eulas", "repeated.max_items")),
            ([_ANSWER, _ANSWER | {"eula_id": NUL}], ("eulas[1].eula_id", "string.id")),
            ([_ANSWER, _ANSWER | {"status": "unknown"}], ("eulas[1].status", "string.in")),
        ]
    ),
    *(Case(at, at.body | {"eulas": value}, reason=None) for at in (SAVE, OWN_SAVE) for value in (7, ["sdc"], [7])),
    *(
        Case(CHECK, {"yandex_uid": "400"} | asked, violation=("eula_ids", "eulas.one_question"))
        for asked in ({}, {"eula_ids": ["sdc"], "eula_types": ["sdc"]})
    ),
    *(
        Case(ROUTESTATS, ROUTESTATS.body | {"tariffs": tariffs}, violation=violation)
        for tariffs, violation in [
            (["econom", ""], ("tariffs[1]", "string.id")),
            (["econom", LONG], ("tariffs[1]", "string.id")),
            ([f"tariff-{number}" for number in range(101)], ("tariffs", "repeated.max_items")),
        ]
    ),
    *(Case(ROUTESTATS, ROUTESTATS.body | {"tariffs": value}, reason=None) for value in NO_TARIFFS),
    *(
        Case(SWITCH, SWITCH.body | {"created": value}, violation=("created", rule))
        for value, rule in [
            ("2099-01-01T00:00:00Z", "timestamp.event_time.range"),
            ("2026-11-20T12:00:00.1234567Z", "timestamp.event_time.precision"),
            (None, "required"),
        ]
    ),
    *(Case(SWITCH, SWITCH.body | {"created": value}, reason=None) for value in NO_TIMES),
    *(Case(SWITCH, SWITCH.body | {"has_toll_road": value}, reason=None) for value in NO_FLAGS),
    *(
        Case(SWITCH, {"order_id": "order", "created": CREATED} | misspelt, violation=("has_toll_road", "required"))
        for misspelt in ({}, {"has_tollroad": False}, {"has_toll_road": None}, {"HAS_TOLL_ROAD": True})
    ),
    *(
        Case(at, at.body | {name: toggle}, violation=(f"{path}share_ride_with_family.value", "required"))
        for at, name, path, toggles in (
            (CARD, "user_actions", "user_actions.", [{"share_ride_with_family": one} for one in UNSAID_TOGGLES]),
            (PROMOS, "share_ride_with_family", "", UNSAID_TOGGLES),
            (SHARE, "share_ride_with_family", "", UNSAID_TOGGLES[:2]),
        )
        for toggle in toggles
    ),
    *(
        Case(at, at.body | {"unknown": {"a": 1}}, violation=("unknown", "message.unknown_field"))
        for at in (OFFER, SAVE, UPDATE, SHARE)
    ),
    Case(SAVE, SAVE.body | {"eulas": [_ANSWER | {"staus": 1}]}, violation=("eulas[0].staus", "message.unknown_field")),
    *(case for at in (STATE, UPDATE) for case in bad_ids(at, "yandex_uid")),
    *bad_ids(UPDATE, "revision_id"),
    # Without an id the comparison has the call's own.
    *(case for case in bad_ids(COMPARE, "request_id") if not isinstance(case.body, dict) or "request_id" in case.body),
    *(Case(UPDATE, UPDATE.body | changes, violation=violation) for changes, violation in BAD_UPDATES),
    *(
        Case(UPDATE, UPDATE.body | {"tariffs": value}, reason=None)
        for value in (7, ["a"], [{"category": "a", "requirements": []}], [{"category": 7}])
    ),
    *(Case(COMPARE, COMPARE.body | changes, violation=violation) for changes, violation in BAD_COMPARISONS),
    *(
        Case(COMPARE, {key: value for key, value in COMPARE.body.items() if key != name}, violation=violation)
        for name, violation in {
            "old": ("old", "required"),
            "new": ("new", "required"),
        }.items()
    ),
    *(Case(COMPARE, COMPARE.body | {"new_status": value}, reason=None) for value in ("many", 2**31, 200.5, [200])),
    *(Case(at, body, reason=None) for at in PATHS for body in ("{", "[]", '"text"', "\x00", "{} {}")),
    *(Case(at, at.body | {"padding": "x" * 300_000}, status=413, reason=None) for at in PATHS),
]


@pytest.fixture(scope="module")
async def harness(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Harness]:
    running = suite_in_process(database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir)
    async with running as suite, behind_a_gateway(suite, tmp_path_factory.mktemp("gateway")) as harness:
        yield harness


async def curl(*words: str) -> tuple[int, dict[str, Any]]:
    """Returns the status and JSON of a response."""
    process = await asyncio.create_subprocess_exec(
        "curl", "--silent", "--show-error", "--write-out", "\n%{http_code}", *words, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), LIMIT_S)
    body, _, status = output.decode().rpartition("\n")
    return int(status), json.loads(body)


def sent(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
    """Posts as curl does, without a process for each body."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=LIMIT_S)
    try:
        connection.request("POST", parts.path, body, {"content-type": "application/x-www-form-urlencoded", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def target(harness: Harness, at: Endpoint, *, uid: str = "400") -> tuple[str, dict[str, str]]:
    if at.source is None:
        return f"http://127.0.0.1:{harness.gateway.public_port}{at.path}", harness.session(uid=uid)
    return f"http://127.0.0.1:{harness.gateway.internal_port}{at.path}", harness.ticket(at.source, at.service)


async def post(harness: Harness, at: Endpoint, body: object, folder: Path, *extra: str) -> tuple[int, dict[str, Any]]:
    url, credentials = target(harness, at)
    file = folder / "body"
    file.write_bytes((body if isinstance(body, str) else json.dumps(body)).encode())
    headers = [word for name, value in credentials.items() for word in ("--header", f"{name}: {value}")]
    return await curl(url, "--data-binary", f"@{file}", *headers, *extra)


async def everything_stored(harness: Harness) -> int:
    """Returns the number of rows in all tables of all services."""
    tables = await harness.suite.rows(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
        " WHERE schemaname IN ('toll_roads', 'order_core', 'eulas', 'user_state', 'protocol')"
        " AND tablename !~ 'yoyo|procrastinate_(version|workers)'"
    )
    counts = [await harness.suite.rows(f"SELECT count(*) FROM {table[0]}") for table in tables]
    return sum(int(str(count[0][0])) for count in counts)


@pytest.mark.timeout(600)
async def test_bad_bodies_are_refused_by_name_and_nothing_is_stored(harness: Harness, tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        if case.status == 413:
            # The gateway ends such a connection, which not every client bears.
            status, error = await post(harness, case.at, case.body, tmp_path)
        else:
            # Each as a passenger of its own: one alone may not send so many.
            url, credentials = target(harness, case.at, uid=str(4000 + number))
            body = (case.body if isinstance(case.body, str) else json.dumps(case.body)).encode()
            status, error = await asyncio.to_thread(sent, url, body, credentials)
        label = f"{case.at.path} {str(case.body)[:100]} -> {status} {error}"
        assert status == case.status, label
        assert error["code"] == {400: 3, 413: 8}[status], label
        assert isinstance(error["message"], str), label
        if case.reason is None:
            assert error["details"] == [], label
            continue
        info, *others = error["details"]
        assert (info["reason"], info["domain"]) == (case.reason, "ridehail"), label
        if case.violation:
            (bad_request,) = others
            violations = [(one["field"], one["reason"]) for one in bad_request["field_violations"]]
            assert violations == [case.violation], label
    assert await everything_stored(harness) == 0


async def test_unknown_paths_and_verbs_are_not_found(harness: Harness) -> None:
    public, internal = (
        f"http://127.0.0.1:{port}" for port in (harness.gateway.public_port, harness.gateway.internal_port)
    )
    session = ["--header", f"authorization: {harness.session()['authorization']}"]
    ticket = ["--header", f"x-ya-service-ticket: {harness.ticket()['x-ya-service-ticket']}"]
    strange = [
        *([f"{public}{path}", *session] for path in ("/", "/4.0/toll-roads/v1/orders", "/toll-roads/v1/offer")),
        *([f"{internal}{path}", *ticket] for path in ("/", "/toll-roads/v1", SWITCH.path, "/toll-roads/v1/offer/")),
        *(
            [f"{internal}{RETRIEVE.path}", "--request", verb, "--data", "{}", *ticket]
            for verb in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")
        ),
    ]
    for words in strange:
        status, error = await curl(*words)
        assert (status, error["code"], error["details"]) == (404, 5, []), words


async def test_a_passengers_identity_cannot_be_forged(harness: Harness, tmp_path: Path) -> None:
    """Trusted headers of a client are dropped: they neither replace a session nor change it."""
    url, _ = target(harness, SWITCH)
    claims = {
        "x-yandex-uid": "999",
        "x-yataxi-userid": "999",
        "x-ya-family-role": "owner",
        "x-yataxi-phone-id": "999",
        "x-ya-gateway-key": (harness.suite.settings.keys_dir / "gateway.key").read_text(),
        "x-http-status": "200",
        **harness.ticket("gateway"),
    }
    headers = [word for name, value in claims.items() for word in ("--header", f"{name}: {value}")]
    status, error = await curl(url, "--data", json.dumps(SWITCH.body), *headers)
    assert (status, error["details"][0]["reason"]) == (401, "SESSION_MISSING")
    status, error = await post(harness, SWITCH, SWITCH.body, tmp_path, *headers)
    assert (status, error["details"][0]["reason"]) == (404, "ORDER_NOT_FOUND")


async def test_nothing_personal_is_in_the_gateways_log(harness: Harness) -> None:
    secrets = {"uid": "7000000007", "order": "canary-order-77", "query": "canary-query-77"}
    url, _ = target(harness, SWITCH)
    token = harness.session(uid=secrets["uid"])["authorization"]
    body = json.dumps(SWITCH.body | {"order_id": secrets["order"]})
    for words in ([], ["--header", f"authorization: {token}"], ["--header", f"x-yandex-uid: {secrets['uid']}"]):
        await curl(f"{url}?phone={secrets['query']}", "--data", body, *words)
        await curl(url, "--data", body, *words)
    await curl(f"http://127.0.0.1:{harness.gateway.public_port}/the-last-one", "--header", f"authorization: {token}")
    log = harness.gateway.log_dir / "envoy-access.log"
    await until(lambda: "/the-last-one" in log.read_text())
    written = log.read_text() + (harness.gateway.log_dir / "envoy.log").read_text()
    for planted in (*secrets.values(), token.removeprefix("Bearer ")):
        assert planted not in written
