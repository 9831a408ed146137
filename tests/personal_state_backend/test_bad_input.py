"""Whatever is wrong with a request, it is refused by field and rule, and nothing is stored; by both back ends alike."""

from __future__ import annotations

import math
from typing import Any

import grpc
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Struct, Value

from ridehail_kernel.json_values import to_struct
from tests.personal_state_backend.backends import BackEnd

GET, UPDATE, LIST, TAKE = (
    "GetPersonalState",
    "UpdatePersonalState",
    "ListPersonalStates",
    "ImportPersonalStates",
)
CALLERS = {GET: "api-proxy", UPDATE: "api-proxy", LIST: "admin", TAKE: "admin"}
# What an id is: see tests/chassis/test_text_rules.py. Here: which fields are ids.
BAD_IDS = ["", "x" * 129, "a\n"]
BAD_REVISIONS = ["", "-1", "+1", "01", "1.0", " 1", "1e3", "\u0661", "9" * 19, "a", "1\n"]
NAN = Struct(fields={"a": Value(number_value=math.nan)})
INFINITE = Struct(fields={"a": Value(list_value=ListValue(values=[Value(number_value=-math.inf)]))})
DEEP: Any = {}
for _ in range(25):
    DEEP = {"a": DEEP}
BAD_REQUIREMENTS = {
    "json.number": [NAN, INFINITE],
    "json.no_nul": [to_struct({"a\0": 1}), to_struct({"a": ["\0"]})],
    "json.depth": [to_struct(DEEP), to_struct({"a": [*([[]] * 3), DEEP["a"]]})],
}

Bad = tuple[str, dict[str, Any], str, str]


def update_of(**fields: Any) -> dict[str, Any]:
    return {"yandex_uid": "400", "revision_id": "0", **fields}


def copy_of(**fields: Any) -> dict[str, Any]:
    return {"yandex_uid": "400", "revision_id": "1", "selected_category": "", **fields}


def bad_requests() -> list[Bad]:
    """Returns method, fields, the invalid field and its rule."""
    bad: list[Bad] = []
    for value in BAD_IDS:
        tariff = {"category": value}
        bad += [
            (GET, {"yandex_uid": value}, "yandex_uid", "string.id"),
            (UPDATE, update_of(yandex_uid=value), "yandex_uid", "string.id"),
            (UPDATE, update_of(revision_id=value), "revision_id", "string.id"),
            (UPDATE, update_of(tariffs=[{"category": "a"}, tariff]), "tariffs[1].category", "string.id"),
            (TAKE, {"states": [copy_of(yandex_uid=value)]}, "states[0].yandex_uid", "string.id"),
            (TAKE, {"states": [copy_of(tariffs=[tariff])]}, "states[0].tariffs[0].category", "string.id"),
        ]
    for value in BAD_REVISIONS:
        bad.append((TAKE, {"states": [copy_of(revision_id=value)]}, "states[0].revision_id", "string.pattern"))
    for value, rule in (("x" * 129, "string.max_len"), ("a\0", "string.pattern"), ("a\u200b", "string.pattern")):
        bad += [
            (UPDATE, update_of(selected_category=value), "selected_category", rule),
            (TAKE, {"states": [copy_of(selected_category=value)]}, "states[0].selected_category", rule),
        ]
    for rule, values in BAD_REQUIREMENTS.items():
        for requirements in values:
            tariffs = [{"category": "a"}, {"category": "b", "requirements": requirements}]
            bad += [
                (UPDATE, update_of(tariffs=tariffs), "tariffs[1].requirements", rule),
                (TAKE, {"states": [copy_of(tariffs=tariffs)]}, "states[0].tariffs[1].requirements", rule),
            ]
    many = [{"category": f"t{number}"} for number in range(201)]
    too_large = [{"category": "a", "requirements": to_struct({"a": "x" * 65_536})}]
    twice = [{"category": "a"}, {"category": "b"}, {"category": "a"}]
    unique = "personal_state.unique_category"
    return [
        *bad,
        (UPDATE, update_of(tariffs=many[:101]), "tariffs", "repeated.max_items"),
        (UPDATE, update_of(tariffs=twice), "tariffs", unique),
        (TAKE, {"states": []}, "states", "repeated.min_items"),
        (TAKE, {"states": [copy_of(selected_category=None)]}, "states[0].selected_category", "required"),
        (TAKE, {"states": [copy_of(yandex_uid=f"{n}") for n in range(1001)]}, "states", "repeated.max_items"),
        (TAKE, {"states": [copy_of(), copy_of(revision_id="2")]}, "states", "personal_state.unique_user"),
        (TAKE, {"states": [copy_of(tariffs=many)]}, "states[0].tariffs", "repeated.max_items"),
        (TAKE, {"states": [copy_of(yandex_uid="x"), copy_of(tariffs=twice)]}, "states[1].tariffs", unique),
        (TAKE, {"states": [copy_of(yandex_uid="x"), copy_of(tariffs=too_large)]}, "states[1]", "personal_state.size"),
        *((LIST, {"page_size": size}, "page_size", "int32.gte_lte") for size in (0, -1, 1001)),
        (LIST, {"page_size": 1, "after_yandex_uid": "x" * 129}, "after_yandex_uid", "string.max_len"),
        *(
            (LIST, {"page_size": 1, "changed_since": bad}, "changed_since", f"timestamp.{rule}")
            for bad, rule in [
                ({"seconds": 10**12}, "event_time.range"),
                ({"seconds": -(10**12)}, "event_time.range"),
                ({"seconds": 1, "nanos": 10**9}, "nanos"),
                ({"seconds": 1, "nanos": 1}, "event_time.precision"),
            ]
        ),
    ]


async def test_a_bad_request_is_refused_by_field_and_rule_and_nothing_is_stored(back_end: BackEnd) -> None:
    before = await back_end.everything()
    for method, fields, field, rule in bad_requests():
        request: Message = getattr(back_end.api, f"{method}Request")(**fields)
        error = await back_end.failure(method, request, CALLERS[method])
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), (error, fields)
        (violation,) = error.violations
        # Of JSON the field is the value's own path.
        path = violation.field[: len(field)] if rule.startswith("json.") else violation.field
        assert (path, violation.reason) == (field, rule), (method, fields)
    assert await back_end.everything() == before


async def test_ids_that_look_like_sql_or_paths_are_only_ids(back_end: BackEnd) -> None:
    for good in ["x" * 128, "\U0001f695", "a b", "%s", "'", '"', "\\", "../x", "{}", "$1", "<b>", "\u044b" * 128]:
        state = await back_end.update("0", good, {good: {good: good}}, uid=good)
        assert state == await back_end.get(good)
        assert state.body["tariffs"] == [{"category": good, "requirements": {good: good}}]
        assert good in [copy.yandex_uid for copy in await back_end.copies()]
