"""Whatever is wrong with a rider's request, it is refused by field and rule, by gRPC and on both JSON paths."""

from __future__ import annotations

import asyncio
import json
import math
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from tests.api_proxy.personal_state_world import COMPARE, PERSONAL_STATE, StateWorld, set_experiments, state_world
from tests.support.calls import failure_of
from tests.support.world import World, behind_a_gateway

PATHS = ("/3.0/personalstate", "/personalstate")
LONG, NUL = "x" * 129, "a\0b"


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels - 1):
        inner = {"a": inner}
    return inner


def with_tariff(**tariff: object) -> dict[str, object]:
    return {"revision_id": "0", "tariffs": [tariff]}


# What is sent, the fields and rules that are named, and whether only a back end can tell.
REFUSED: dict[str, tuple[dict[str, Any], list[tuple[str, str]], bool]] = {
    "an empty revision": ({"revision_id": ""}, [("revision_id", "string.id")], False),
    "a long revision": ({"revision_id": LONG}, [("revision_id", "string.id")], False),
    "NUL in the revision": ({"revision_id": NUL}, [("revision_id", "string.id")], False),
    "a tariff without a revision": (
        {"selected_category": "econom"},
        [("revision_id", "personal_state.revision_id")],
        False,
    ),
    "no tariff without a revision": ({"selected_category": ""}, [("revision_id", "personal_state.revision_id")], False),
    "settings without a revision": (
        {"tariffs": [{"category": "econom"}]},
        [("revision_id", "personal_state.revision_id")],
        False,
    ),
    "a long tariff": (
        {"revision_id": "0", "selected_category": LONG},
        [("selected_category", "string.max_len")],
        False,
    ),
    "a tariff with NUL": (
        {"revision_id": "0", "selected_category": NUL},
        [("selected_category", "string.pattern")],
        False,
    ),
    "settings of no tariff": (with_tariff(requirements={}), [("tariffs[0].category", "string.id")], False),
    "settings of a long tariff": (with_tariff(category=LONG), [("tariffs[0].category", "string.id")], False),
    "too many tariffs": (
        {"revision_id": "0", "tariffs": [{"category": f"t{number}"} for number in range(101)]},
        [("tariffs", "repeated.max_items")],
        False,
    ),
    "everything at once": (
        {"revision_id": "", "selected_category": LONG, "tariffs": [{"category": ""}]},
        [
            ("revision_id", "string.id"),
            ("selected_category", "string.max_len"),
            ("tariffs[0].category", "string.id"),
        ],
        False,
    ),
    "a tariff twice": (
        {"revision_id": "0", "tariffs": [{"category": "a"}, {"category": "a"}]},
        [("tariffs", "personal_state.unique_category")],
        True,
    ),
    "NUL in settings": (
        with_tariff(category="a", requirements={"a": [NUL]}),
        [('tariffs[0].requirements["a"][0]', "json.no_nul")],
        False,
    ),
    "settings too deep": (
        with_tariff(category="a", requirements=nested(26)),
        [("tariffs[0].requirements" + '["a"]' * 25, "json.depth")],
        False,
    ),
}
# What no message of the contract can be made from: the gateway refuses it.
NO_MESSAGE = {
    "no JSON": b"{",
    "a list": b"[]",
    "a revision that is an object": b'{"revision_id": {}}',
    "tariffs that are an object": b'{"tariffs": {"econom": {}}}',
    "settings that are a list": b'{"revision_id": "0", "tariffs": [{"category": "a", "requirements": []}]}',
    "no UTF-8": b'{"revision_id": "\xff"}',
    "far too deep": b'{"revision_id": "0", "tariffs": [{"category": "a", "requirements": '
    + b'{"a":' * 500
    + b"1"
    + b"}" * 500
    + b"}]}",
}
# What the contract does not know is passed over, as everywhere; what is left is a read of the rider's own state.
PASSED_OVER = (b"", b'{"revision": "0"}', b'{"yandex_uid": "4000000001", "old": {}}')


@dataclass
class Doors:
    """A rider's ways in."""

    states: StateWorld
    gateway: World
    uid: str

    async def post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Sends a body; returns the HTTP status and the answer."""
        url = f"http://127.0.0.1:{self.gateway.gateway.public_port}{path}"
        request = urllib.request.Request(url, body, self.gateway.session(uid=self.uid), method="POST")

        def send() -> tuple[int, dict[str, Any]]:
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status, json.loads(answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.loads(error.read())

        return await asyncio.to_thread(send)

    async def refusal(self, request: api.PersonalStateRequest | bytes) -> list[tuple[str, str]]:
        """Makes a call by gRPC that must be refused for its content, and returns the broken rules by field."""
        metadata = self.states.suite.metadata("gateway", "api-proxy", self.uid)
        error = await failure_of(self.states.channel, PERSONAL_STATE, request, metadata=metadata)
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), error
        return [(violation.field, violation.reason) for violation in error.violations]


@pytest.fixture(params=["out", "in"])
async def doors(
    request: pytest.FixtureRequest, database_url: str, keys_dir: Path, config_dir: Path, tmp_path: Path
) -> AsyncIterator[Doors]:
    """Of a rider out of the experiments, and of one whose requests are compared: both get the same."""
    set_experiments(config_dir)
    async with (
        state_world(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir) as states,
        behind_a_gateway(states.suite, tmp_path) as gateway,
    ):
        yield Doors(states, gateway, f"{request.param}-1")


async def test_what_is_wrong_is_named_and_nothing_is_stored(doors: Doors) -> None:
    for name, (body, broken, by_back_end) in REFUSED.items():
        for path in PATHS:
            status, answer = await doors.post(path, json.dumps(body).encode())
            assert (status, answer["code"], answer["details"][0]["reason"]) == (400, 3, "INVALID_REQUEST"), name
            told = next(one for one in answer["details"] if one["@type"].endswith("BadRequest"))
            fields = [(one["field"], one["reason"]) for one in told["field_violations"]]
            assert fields == broken, name
        assert await doors.refusal(ParseDict(body, api.PersonalStateRequest())) == broken, name
        asked = [one for one in doors.states.log if one.method != COMPARE]
        assert bool(asked) == by_back_end, name
        doors.states.log.clear()
    for name, text in NO_MESSAGE.items():
        for path in PATHS:
            status, answer = await doors.post(path, text)
            assert (status, answer.get("code")) == (400, 3), f"{name}: {status} {answer}"
    for text in PASSED_OVER:
        for path in PATHS:
            status, answer = await doors.post(path, text)
            assert (status, answer.get("revision_id")) == (200, "0"), text
    for endless in (math.inf, -math.inf, math.nan):
        request = api.PersonalStateRequest(revision_id="0")
        request.tariffs.add(category="a").requirements.fields["a"].list_value.values.add(number_value=endless)
        assert await doors.refusal(request) == [('tariffs[0].requirements["a"][0]', "json.number")]
    for garbage in (b"\xff", b"\x0a\x05ab", b"\x0a\x02\xff\xfe"):
        assert await doors.refusal(garbage) == [("", "message.encoding")]
    assert await doors.states.revisions(doors.uid) == ("-", "-")


async def test_a_revision_that_no_state_has_is_a_conflict_whatever_it_is(doors: Doors) -> None:
    for revision in ("7", "-1", "00", "0.0", "\u0664", "null", "'; --", "9" * 128):
        for path in PATHS:
            status, answer = await doors.post(path, json.dumps({"revision_id": revision}).encode())
            assert (status, answer["code"]) == (409, 10), revision
            assert answer["details"][0]["reason"] == "REVISION_CONFLICT"
            assert answer["details"][0]["metadata"] == {"current_revision_id": "0"}
    assert await doors.states.revisions(doors.uid) == ("-", "-")


async def test_what_is_at_the_limits_is_taken(doors: Doors) -> None:
    good: list[dict[str, Any]] = [
        {"selected_category": "x" * 128},
        {"selected_category": ""},
        {"tariffs": [{"category": f"t{number}"} for number in range(100)]},
        {"tariffs": [{"category": "deep", "requirements": nested(25)}]},
        {"tariffs": [{"category": "odd", "requirements": {"": None, "\u044b": [1.5, -0.0, 1e15, True, "\U0001f695"]}}]},
        {},
    ]
    for number, body in enumerate(good):
        path = PATHS[number % 2]
        status, answer = await doors.post(path, json.dumps({"revision_id": str(number)} | body).encode())
        assert (status, answer.get("revision_id")) == (200, str(number + 1)), answer
    _status, answer = await doors.post(PATHS[0], b"{}")
    told = {one["category"]: one["requirements"] for one in answer["tariffs"]}
    assert told["deep"] == nested(25)
    assert told["odd"] == {"": None, "\u044b": [1.5, 0, 1e15, True, "\U0001f695"]}
    assert len(told) == 102
    status, answer = await doors.post(
        PATHS[0],
        json.dumps(
            {"revision_id": "6", "tariffs": [{"category": "big", "requirements": {"a": "x" * 65_536}}]}
        ).encode(),
    )
    assert (status, answer["details"][0]["reason"]) == (400, "PERSONAL_STATE_TOO_LARGE")


async def test_nobody_but_the_gateway_speaks_for_a_rider(doors: Doors) -> None:
    suite = doors.states.suite
    for source in ("admin", "api-proxy", "routestats"):
        metadata = (*suite.metadata(source, "api-proxy"), ("x-yandex-uid", "in-1"))
        error = await failure_of(doors.states.channel, PERSONAL_STATE, metadata=metadata)
        assert (error.code, error.reason) == (grpc.StatusCode.PERMISSION_DENIED, "CALLER_NOT_ALLOWED")
    error = await failure_of(doors.states.channel, PERSONAL_STATE, metadata=suite.metadata("gateway", "api-proxy"))
    assert error.reason == "PASSENGER_MISSING"
    assert doors.states.log == []
