"""Calls of the admin of agreements."""

from __future__ import annotations

from ridehail_clients import (
    Agreement,
    AgreementChange,
    AgreementRecord,
    EulaImport,
    EulaUpdatePreview,
    ResignRun,
)
from tests.clients.cases.case import NOON, NOON_TEXT, Case, Json, sent_as_given

_AGREEMENT = Agreement(
    eula_id="surge_il",
    type="surge",
    revision=2,
    ttl_s=60,
    rejectable=True,
    countries=("isr",),
    zones=("tel_aviv",),
    tariffs=("econom",),
    title={"en": "Surge", "he": "S"},
    text={"en": "Fares may rise."},
    url="https://example.com/surge",
    position=10,
)
_AGREEMENT_JSON: Json = {
    "eula_id": "surge_il",
    "type": "surge",
    "revision": 2,
    "ttl_s": "60",
    "rejectable": True,
    "countries": ["isr"],
    "zones": ["tel_aviv"],
    "tariffs": ["econom"],
    "title": {"en": "Surge", "he": "S"},
    "text": {"en": "Fares may rise."},
    "url": "https://example.com/surge",
    "position": 10,
}
_RECORD = AgreementRecord(
    agreement=_AGREEMENT,
    version=7,
    asks_since=3,
    withdrawn=True,
    source="admin",
    actor="anna",
    changed_at=NOON,
)
_RECORD_JSON: Json = {
    "agreement": _AGREEMENT_JSON,
    "version": "7",
    "asks_since": "3",
    "withdrawn": True,
    "source": "admin",
    "actor": "anna",
    "changed_at": NOON_TEXT,
}
_CHANGE = AgreementChange(
    version=7,
    eula_id="surge_il",
    kind="updated",
    source="admin",
    actor="anna",
    changed_at=NOON,
    base_version=3,
    asks_again=True,
    agreement=_AGREEMENT,
)
_CHANGE_JSON: Json = {
    "version": "7",
    "eula_id": "surge_il",
    "kind": "updated",
    "source": "admin",
    "actor": "anna",
    "changed_at": NOON_TEXT,
    "base_version": "3",
    "asks_again": True,
    "agreement": _AGREEMENT_JSON,
}
_RUN = ResignRun(
    version=7,
    eula_id="surge_il",
    state="running",
    expected=100,
    checked=20,
    marked=10,
    requested_at=NOON,
    updated_at=NOON,
    finished_at=NOON,
)
_RUN_JSON: Json = {
    "version": "7",
    "eula_id": "surge_il",
    "state": "running",
    "expected": "100",
    "checked": "20",
    "marked": "10",
    "requested_at": NOON_TEXT,
    "updated_at": NOON_TEXT,
    "finished_at": NOON_TEXT,
}

CASES = [
    Case(
        "AdminEulasService/CreateEula",
        {"agreement": _AGREEMENT, "actor": "anna"},
        {"agreement": _AGREEMENT_JSON, "actor": "anna"},
        {"record": _RECORD_JSON},
        _RECORD,
    ),
    Case(
        "AdminEulasService/UpdateEula",
        {"agreement": _AGREEMENT, "expected_version": 3, "actor": "anna"},
        {"agreement": _AGREEMENT_JSON, "expected_version": "3", "actor": "anna"},
        {"record": _RECORD_JSON},
        _RECORD,
    ),
    Case(
        "AdminEulasService/WithdrawEula",
        {"eula_id": "surge_il", "expected_version": 3, "actor": "anna"},
        {"eula_id": "surge_il", "expected_version": "3", "actor": "anna"},
        {"record": _RECORD_JSON},
        _RECORD,
    ),
    Case(
        "AdminEulasService/PreviewEulaUpdate",
        {"agreement": _AGREEMENT},
        {"agreement": _AGREEMENT_JSON},
        {"version": "7", "changed_fields": ["ttl_s"], "asks_again": True, "riders": "5", "is_estimate": True},
        EulaUpdatePreview(version=7, changed_fields=("ttl_s",), asks_again=True, riders=5, is_estimate=True),
    ),
    sent_as_given(
        "AdminEulasService/ListEulaRecords",
        {"after_eula_id": "sdc", "with_withdrawn": True, "page_size": 1},
        {"records": [_RECORD_JSON]},
        result=(_RECORD,),
    ),
    Case("AdminEulasService/ListEulaRecords", {}, {"page_size": 100}, {}, ()),
    Case(
        "AdminEulasService/ListEulaChanges",
        {"eula_id": "surge_il", "before_version": 8, "page_size": 1},
        {"eula_id": "surge_il", "before_version": "8", "page_size": 1},
        {"changes": [_CHANGE_JSON]},
        (_CHANGE,),
    ),
    Case("AdminEulasService/ListEulaChanges", {}, {"page_size": 20}, {}, ()),
    sent_as_given(
        "AdminEulasService/ListResignRuns",
        {"eula_id": "surge_il", "page_size": 1},
        {"runs": [_RUN_JSON]},
        result=(_RUN,),
    ),
    sent_as_given(
        "AdminEulasService/ImportEulas",
        {"actor": "anna", "dry_run": True},
        {
            "created": ["a"],
            "updated": ["b"],
            "unchanged": ["c"],
            "kept": ["d"],
            "not_in_file": ["e"],
            "incomplete": ["f"],
        },
        result=EulaImport(("a",), ("b",), ("c",), ("d",), ("e",), ("f",)),
    ),
]
