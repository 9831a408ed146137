"""Calls of the back ends of personal states, and of api_proxy about them."""

from __future__ import annotations

from datetime import timedelta, timezone
from typing import Any

from ridehail_clients import ComparedKind, PersonalState, PersonalStateCopy, TariffSettings
from tests.clients.cases.case import NOON, NOON_TEXT, Case, Json, sent_as_given

SETTINGS = (TariffSettings("econom", {"nosmoking": True, "seats": [1, 2.5]}), TariffSettings("vip", {}))
SETTINGS_JSON: list[Json] = [
    {"category": "econom", "requirements": {"nosmoking": True, "seats": [1, 2.5]}},
    {"category": "vip", "requirements": {}},
]
STATE_JSON: Json = {"revision_id": "7", "selected_category": "econom", "tariffs": SETTINGS_JSON}
_COPY = PersonalStateCopy("uid", "7", "econom", SETTINGS)
_COPY_JSON: Json = {"yandex_uid": "uid", **STATE_JSON}


def state(**fields: Any) -> PersonalState:
    """The state of the examples; what equality does not look at has a test of its own."""
    return PersonalState(
        **{"revision_id": "7", "selected_category": "econom", "tariffs": SETTINGS, "body": {}, **fields}
    )


def _of_back_end(service: str) -> list[Case]:
    """The same calls of both back ends."""
    return [
        sent_as_given(f"{service}/GetPersonalState", {"yandex_uid": "uid"}, STATE_JSON, state()),
        Case(
            f"{service}/UpdatePersonalState",
            {"yandex_uid": "uid", "revision_id": "6", "selected_category": "vip", "tariffs": SETTINGS},
            {"yandex_uid": "uid", "revision_id": "6", "selected_category": "vip", "tariffs": SETTINGS_JSON},
            STATE_JSON,
            state(),
        ),
        sent_as_given(
            f"{service}/UpdatePersonalState",
            {"yandex_uid": "uid", "revision_id": "6", "selected_category": ""},
            STATE_JSON,
            state(),
        ),
        sent_as_given(
            f"{service}/UpdatePersonalState",
            {"yandex_uid": "uid", "revision_id": "6"},
            {"revision_id": "7"},
            state(selected_category="", tariffs=()),
        ),
        Case(
            f"{service}/ListPersonalStates",
            {
                "after_yandex_uid": "u",
                "changed_since": NOON.astimezone(timezone(timedelta(hours=3))),
                "page_size": 7,
            },
            {"after_yandex_uid": "u", "changed_since": NOON_TEXT, "page_size": 7},
            {"states": [_COPY_JSON]},
            (_COPY,),
        ),
        Case(f"{service}/ListPersonalStates", {}, {"page_size": 1000}, {}, ()),
        Case(f"{service}/ImportPersonalStates", {"states": [_COPY]}, {"states": [_COPY_JSON]}, {"stored": 1}, 1),
    ]


_COMPARED: Json = {"request_id": "request", "old": [1, {"a": None}], "new": "x", "old_status": 200, "new_status": 409}

CASES = [
    *_of_back_end("UserStateService"),
    *_of_back_end("ProtocolService"),
    Case("UserStateService/CompareJsons", {**_COMPARED, "kind": ComparedKind.WRITE}, {**_COMPARED, "kind": "write"}),
    Case(
        "PersonalStateService/PersonalState",
        {"revision_id": "6", "selected_category": "vip", "tariffs": SETTINGS},
        {"revision_id": "6", "selected_category": "vip", "tariffs": SETTINGS_JSON},
        STATE_JSON,
        state(),
    ),
]
