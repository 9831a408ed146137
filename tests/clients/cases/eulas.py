"""Calls about agreements: of eulas itself, and of what api_proxy asks of the rider."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ridehail_clients import (
    Eula,
    EulaCheck,
    EulaCheckResult,
    EulaDecision,
    EulaFilter,
    EulaState,
    EulaStatus,
    HiddenTariff,
    RouteStats,
    ZoneInfo,
)
from tests.clients.cases.case import NOON, NOON_TEXT, Case, Json, sent_as_given

SURGE_JSON: Json = {
    "eula_id": "surge_il",
    "type": "surge",
    "status": "accepted",
    "title": "Surge",
    "text": "Fares may rise.",
    "url": "https://example.com/surge",
    "rejectable": True,
    "valid_till": "2027-03-04T12:00:00Z",
    "updated_at": NOON_TEXT,
}
_SURGE = Eula(
    eula_id="surge_il",
    type="surge",
    status=EulaState.ACCEPTED,
    title="Surge",
    text="Fares may rise.",
    url="https://example.com/surge",
    rejectable=True,
    valid_till=datetime(2027, 3, 4, 12, tzinfo=UTC),
    updated_at=NOON,
)
_UNDECIDED_JSON: Json = {"eula_id": "belts", "status": "unknown"}
_UNDECIDED = Eula("belts", "", EulaState.UNKNOWN, "", "", "", rejectable=False, valid_till=None, updated_at=None)
_BOTH_JSON: Json = {"eulas": [SURGE_JSON, _UNDECIDED_JSON]}
_DECISIONS = [EulaDecision("surge_il", EulaState.REJECTED), EulaDecision("surge_il", EulaState.ACCEPTED)]
_DECISIONS_JSON = [{"eula_id": "surge_il", "status": "rejected"}, {"eula_id": "surge_il", "status": "accepted"}]
_EVERYTHING: dict[str, Any] = {
    "filter": EulaFilter.ALL,
    "zone_name": "tel_aviv",
    "country": "isr",
    "tariffs": ("econom", "vip"),
}
_ZONE = {"zone_name": "tel_aviv"}

CASES = [
    Case(
        "EulasService/ListEulas",
        {**_EVERYTHING, "yandex_uid": "uid", "locale": "he"},
        {**_EVERYTHING, "tariffs": ["econom", "vip"], "yandex_uid": "uid", "locale": "he"},
        _BOTH_JSON,
        (_SURGE, _UNDECIDED),
    ),
    sent_as_given("EulasService/ListEulas", {"yandex_uid": "uid", "filter": EulaFilter.SIGNED}, result=()),
    Case(
        "EulasService/SaveEulas",
        {"yandex_uid": "uid", "eulas": _DECISIONS},
        {"yandex_uid": "uid", "eulas": _DECISIONS_JSON},
        {"refresh": ["routestats"]},
        ("routestats",),
    ),
    sent_as_given(
        "EulasService/CheckEulas",
        {"yandex_uid": "uid", "eula_ids": ["surge_il"]},
        {"eulas": [{"eula_id": "surge_il", "type": "surge", "status": "rejected"}]},
        result=(EulaStatus("surge_il", "surge", EulaState.REJECTED),),
    ),
    sent_as_given(
        "EulasService/CheckEulas",
        {"yandex_uid": "uid", "eula_types": ["surge"], "zone_name": "tel_aviv"},
        {"eulas": [{"type": "surge", "status": "unknown"}]},
        result=(EulaStatus("", "surge", EulaState.UNKNOWN),),
    ),
    Case(
        "EulasService/BatchCheckEulas",
        {"checks": [EulaCheck("uid", ("surge_il",)), EulaCheck("uid", eula_types=("surge",), zone_name="oslo")]},
        {
            "checks": [
                {"yandex_uid": "uid", "eula_ids": ["surge_il"]},
                {"yandex_uid": "uid", "eula_types": ["surge"], "zone_name": "oslo"},
            ]
        },
        {"results": [{"eulas": [{"eula_id": "surge_il", "type": "surge", "status": "rejected"}]}, {}]},
        (EulaCheckResult((EulaStatus("surge_il", "surge", EulaState.REJECTED),)), EulaCheckResult(())),
    ),
    Case(
        "PassengerEulasService/ListEulas",
        _EVERYTHING,
        {**_EVERYTHING, "tariffs": ["econom", "vip"]},
        _BOTH_JSON,
        (_SURGE, _UNDECIDED),
    ),
    Case(
        "PassengerEulasService/SaveEulas",
        {"eulas": _DECISIONS},
        {"eulas": _DECISIONS_JSON},
        {"refresh": ["routestats"]},
        ("routestats",),
    ),
    Case("PassengerEulasService/SaveEulas", {"eulas": _DECISIONS}, {"eulas": _DECISIONS_JSON}, {}, ()),
    sent_as_given(
        "RoutestatsService/GetRouteStats",
        {"zone_name": "tel_aviv", "tariffs": ["econom", "surge"]},
        {"tariffs": ["econom"], "hidden": [{"tariff": "surge", "reason": "eula_unknown"}]},
        result=RouteStats(tariffs=("econom",), hidden=(HiddenTariff("surge", "eula_unknown"),)),
    ),
    sent_as_given(
        "ZoneInfoService/GetZoneInfo",
        _ZONE,
        # The second name, misspelt, is for apps that read no other.
        {"need_acceptance": [SURGE_JSON | {"of_a_later_release": 1}, _UNDECIDED_JSON], "need_acceptence": [7]},
        result=ZoneInfo(need_acceptance=(_SURGE, _UNDECIDED)),
    ),
    sent_as_given("ZoneInfoService/GetZoneInfo", _ZONE, {"need_acceptance": []}, result=ZoneInfo(need_acceptance=())),
    sent_as_given("ZoneInfoService/GetZoneInfo", _ZONE, {}, result=ZoneInfo(need_acceptance=None)),
]
