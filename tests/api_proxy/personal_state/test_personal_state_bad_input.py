"""What is wrong with a rider's request is named by gRPC and in JSON, whoever answers; the rules are the contract's."""

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
from tests.api_proxy.personal_state.personal_state_harness import COMPARE, PERSONAL_STATE, StateHarness, state_harness
from tests.support.calls import failure_of
from tests.support.contract_rules import broken_rules
from tests.support.harness import Harness, behind_a_gateway
from tests.support.waiting import LIMIT_S

PATHS = ("/3.0/personalstate", "/personalstate")
# One out of the experiments, and one whose requests are compared: both get the same.
RIDERS = ("out-1", "in-1")
LONG, NUL = "x" * 129, "a\0b"


def nested(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels - 1):
        inner = {"a": inner}
    return inner


def with_tariff(**tariff: object) -> dict[str, object]:
    return {"revision_id": "0", "tariffs": [tariff]}


# By the contract.
BROKEN: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "an empty revision": ({"revision_id": ""}, [("revision_id", "string.id")]),
    "a long revision": ({"revision_id": LONG}, [("revision_id", "string.id")]),
    "a long tariff": ({"revision_id": "0", "selected_category": LONG}, [("selected_category", "string.max_len")]),
    "a tariff with NUL": ({"revision_id": "0", "selected_category": NUL}, [("selected_category", "string.pattern")]),
    "settings of no tariff": (with_tariff(requirements={}), [("tariffs[0].category", "string.id")]),
    "too many tariffs": (
        {"revision_id": "0", "tariffs": [{"category": f"t{number}"} for number in range(101)]},
        [("tariffs", "repeated.max_items")],
    ),
    "everything at once": (
        {"revision_id": "", "selected_category": LONG, "tariffs": [{"category": ""}]},
        [
            ("revision_id", "string.id"),
            ("selected_category", "string.max_len"),
            ("tariffs[0].category", "string.id"),
        ],
    ),
}
# What is sent, the field and rule that are named, and whether only a back end can tell.
REFUSED: dict[str, tuple[dict[str, Any], tuple[str, str], bool]] = {
    "by the contract": ({"revision_id": ""}, ("revision_id", "string.id"), False),
    "a tariff without a revision": (
        {"selected_category": "econom"},
        ("revision_id", "personal_state.revision_id"),
        False,
    ),
    "no tariff without a revision": ({"selected_category": ""}, ("revision_id", "personal_state.revision_id"), False),
    "settings without a revision": (
        {"tariffs": [{"category": "econom"}]},
        ("revision_id", "personal_state.revision_id"),
        False,
    ),
    "a tariff twice": (
        {"revision_id": "0", "tariffs": [{"category": "a"}, {"category": "a"}]},
        ("tariffs", "personal_state.unique_category"),
        True,
    ),
    "NUL in settings": (
        with_tariff(category="a", requirements={"a": [NUL]}),
        ('tariffs[0].requirements["a"][0]', "json.no_nul"),
        False,
    ),
    "settings too deep": (
        with_tariff(category="a", requirements=nested(26)),
        ("tariffs[0].requirements" + '["a"]' * 25, "json.depth"),
        False,
    ),
}
# What the contract does not know is passed over, as everywhere; what is left is a read of the rider's own state.
PASSED_OVER = (b"", b'{"revision": "0"}', b'{"yandex_uid": "4000000001", "old": {}}')


@dataclass
class Doors:
    """Riders' ways in."""

    states: StateHarness
    gateway: Harness

    async def post(self, uid: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Sends a body; returns the HTTP status and the response."""
        url = f"http://127.0.0.1:{self.gateway.gateway.public_port}{path}"
        request = urllib.request.Request(url, body, self.gateway.session(uid=uid), method="POST")

        def send() -> tuple[int, dict[str, Any]]:
            try:
                with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
                    return response.status, json.loads(response.read())
            except urllib.error.HTTPError as error:
                with error:
                    return error.code, json.loads(error.read())

        return await asyncio.to_thread(send)

    async def refusal(self, uid: str, request: api.PersonalStateRequest | bytes) -> list[tuple[str, str]]:
        """Makes a call by gRPC that must be refused for its content, and returns the broken rules by field."""
        metadata = self.states.suite.metadata("gateway", "api-proxy", uid)
        error = await failure_of(self.states.channel, PERSONAL_STATE, request, metadata=metadata)
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), error
        return [(violation.field, violation.reason) for violation in error.violations]


@pytest.fixture(scope="module")
async def module_doors(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Doors]:
    async with (
        state_harness(
            database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, watched=False
        ) as states,
        behind_a_gateway(states.suite, tmp_path_factory.mktemp("gateway")) as gateway,
    ):
        states.set_experiments()
        states.configure(new_timeout_ms=2000)
        yield Doors(states, gateway)


@pytest.fixture
async def doors(module_doors: Doors) -> Doors:
    """Nobody has a state."""
    await module_doors.states.empty()
    return module_doors


def test_the_contract_names_all_that_is_wrong() -> None:
    for name, (body, broken) in BROKEN.items():
        assert broken_rules(ParseDict(body, api.PersonalStateRequest())) == broken, name


@pytest.mark.parametrize("uid", RIDERS)
async def test_what_is_wrong_is_named_and_nothing_is_stored(doors: Doors, uid: str) -> None:
    for name, (body, broken, by_back_end) in REFUSED.items():
        for path in PATHS:
            status, response = await doors.post(uid, path, json.dumps(body).encode())
            assert (status, response["code"], response["details"][0]["reason"]) == (400, 3, "INVALID_REQUEST"), name
            told = next(one for one in response["details"] if one["@type"].endswith("BadRequest"))
            assert [(one["field"], one["reason"]) for one in told["field_violations"]] == [broken], name
        assert await doors.refusal(uid, ParseDict(body, api.PersonalStateRequest())) == [broken], name
        asked = [one for one in doors.states.log if one.method != COMPARE]
        assert bool(asked) == by_back_end, name
        doors.states.log.clear()
    for endless in (math.inf, -math.inf, math.nan):
        request = api.PersonalStateRequest(revision_id="0")
        request.tariffs.add(category="a").requirements.fields["a"].list_value.values.add(number_value=endless)
        assert await doors.refusal(uid, request) == [('tariffs[0].requirements["a"][0]', "json.number")]
    for text in PASSED_OVER:
        status, response = await doors.post(uid, PATHS[0], text)
        assert (status, response.get("revision_id")) == (200, "0"), text
    assert await doors.states.revisions(uid) == ("-", "-")


@pytest.mark.parametrize("uid", RIDERS)
async def test_a_revision_that_no_state_has_is_a_conflict_whatever_it_is(doors: Doors, uid: str) -> None:
    for revision in ("7", "-1", "00", "0.0", "\u0664", "null", "'; --", "9" * 128):
        status, response = await doors.post(uid, PATHS[0], json.dumps({"revision_id": revision}).encode())
        assert (status, response["code"]) == (409, 10), revision
        assert response["details"][0]["reason"] == "REVISION_CONFLICT"
        assert response["details"][0]["metadata"] == {"current_revision_id": "0"}
    assert await doors.states.revisions(uid) == ("-", "-")


@pytest.mark.parametrize("uid", RIDERS)
async def test_what_is_at_the_limits_is_taken(doors: Doors, uid: str) -> None:
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
        status, response = await doors.post(uid, path, json.dumps({"revision_id": str(number)} | body).encode())
        assert (status, response.get("revision_id")) == (200, str(number + 1)), response
    _status, response = await doors.post(uid, PATHS[0], b"{}")
    told = {one["category"]: one["requirements"] for one in response["tariffs"]}
    assert told["deep"] == nested(25)
    assert told["odd"] == {"": None, "\u044b": [1.5, 0, 1e15, True, "\U0001f695"]}
    assert len(told) == 102
    too_large = {"revision_id": "6", "tariffs": [{"category": "big", "requirements": {"a": "x" * 65_536}}]}
    status, response = await doors.post(uid, PATHS[0], json.dumps(too_large).encode())
    assert (status, response["details"][0]["reason"]) == (400, "PERSONAL_STATE_TOO_LARGE")
