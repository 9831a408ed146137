"""Which tariffs are shown, by rule; eulas is what the test says it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail_clients import EulaState
from ridehail_servers.api_proxy.config import ApiProxyConfig
from ridehail_servers.api_proxy.tariffs.config import EulaRequirement
from ridehail_servers.api_proxy.tariffs.tariff_filter import (
    FilteredTariffs,
    TariffFilter,
    filter_tariffs,
    required_types,
)
from tests.api_proxy.proxy import CARD, PERSONALSTATE

STATUSES = tuple(EulaState)
UNKNOWN, ACCEPTED, REJECTED = STATUSES
TYPES = ("surge", "sdc", "child_seat")
TARIFFS = ("econom", "econom_surge", "comfort", "child", "robot")

tariff_lists = st.lists(st.sampled_from(TARIFFS), max_size=12)
requirement = st.builds(
    EulaRequirement,
    eula_type=st.sampled_from(TYPES),
    is_eula_required=st.booleans(),
    eula_statuses=st.lists(st.sampled_from(STATUSES), min_size=1, max_size=4),
)
requirement_maps = st.dictionaries(st.sampled_from(TARIFFS), requirement)
responses = st.none() | st.fixed_dictionaries({name: st.sampled_from(STATUSES) for name in TYPES})


def requires(eula_type: str, *statuses: str, required: bool = True) -> EulaRequirement:
    return EulaRequirement(
        eula_type=eula_type, is_eula_required=required, eula_statuses=[EulaState(one) for one in statuses]
    )


# --- the filter


@given(tariffs=tariff_lists, requirements=requirement_maps, statuses=responses)
def test_the_filter_decides_each_tariff_by_itself(
    tariffs: list[str], requirements: dict[str, EulaRequirement], statuses: dict[str, EulaState] | None
) -> None:
    """Against the rule as documented, one tariff after the other."""
    shown: list[str] = []
    hidden: dict[str, str] = {}
    for tariff in tariffs:
        if tariff in shown or tariff in hidden:
            continue
        if tariff not in requirements or not requirements[tariff].is_eula_required:
            shown.append(tariff)
        elif statuses is None:
            if "unknown" in requirements[tariff].eula_statuses:
                shown.append(tariff)
            else:
                hidden[tariff] = "eulas_unavailable"
        elif statuses[requirements[tariff].eula_type] in requirements[tariff].eula_statuses:
            shown.append(tariff)
        else:
            hidden[tariff] = "eula_" + statuses[requirements[tariff].eula_type]
    assert filter_tariffs(tariffs, requirements, statuses) == FilteredTariffs(shown, hidden)


@given(tariffs=tariff_lists, requirements=requirement_maps)
def test_only_the_required_types_are_looked_at(tariffs: list[str], requirements: dict[str, EulaRequirement]) -> None:
    types = required_types(tariffs, requirements)
    assert len(set(types)) == len(types)
    filter_tariffs(tariffs, requirements, dict.fromkeys(types, UNKNOWN))  # a type that is missing would be a KeyError
    for left_out in types:
        with pytest.raises(KeyError):
            filter_tariffs(tariffs, requirements, {one: UNKNOWN for one in types if one != left_out})


@given(tariffs=tariff_lists, requirements=requirement_maps, statuses=responses)
def test_what_eulas_hides_for_want_of_an_answer_it_would_hide_from_a_rider_who_never_answered(
    tariffs: list[str], requirements: dict[str, EulaRequirement], statuses: dict[str, EulaState] | None
) -> None:
    unavailable = filter_tariffs(tariffs, requirements, None)
    unanswered = filter_tariffs(tariffs, requirements, dict.fromkeys(TYPES, UNKNOWN))
    assert unavailable.shown == unanswered.shown
    assert list(unavailable.hidden) == list(unanswered.hidden)


# --- whether eulas is called


@dataclass
class ScriptedStatuses:
    """Returns what the test sets, and records calls."""

    known: Mapping[str, EulaState] | None
    asked: list[tuple[str, tuple[str, ...], str]] = field(default_factory=list)

    async def get_statuses(
        self, yandex_uid: str, eula_types: Sequence[str], *, zone_name: str
    ) -> Mapping[str, EulaState] | None:
        self.asked.append((yandex_uid, tuple(eula_types), zone_name))
        return self.known


def config(*, enabled: bool = True, **tariffs: EulaRequirement) -> ApiProxyConfig:
    return ApiProxyConfig.model_validate(
        {
            "launch": {"orders_state": "stage1"},
            "EULAS_SERVICE_ENABLED": enabled,
            "EULAS_TIMEOUT_MS": 100,
            "EULAS_RETRIES": 2,
            "ROUTESTATS_EULA_REQUIREMENTS_FOR_CATEGORIES_IN_ZONE": {"tel_aviv": tariffs},
            **CARD,
            "personalstate": PERSONALSTATE,
        }
    )


def tariff_filter(config: ApiProxyConfig, statuses: ScriptedStatuses, *, experiment: bool = True) -> TariffFilter:
    return TariffFilter(lambda: config, plugin_eulas=lambda _uid: experiment, statuses=statuses)


TWO_TYPES = config(
    surge=requires("surge", "accepted"),
    surge_too=requires("surge", "rejected"),
    robot=requires("sdc", "accepted"),
    child=requires("child_seat", "accepted", required=False),
)


async def test_a_request_asks_once_for_each_distinct_type_however_many_tariffs_require_it() -> None:
    statuses = ScriptedStatuses({"surge": ACCEPTED, "sdc": REJECTED})
    found = await tariff_filter(TWO_TYPES, statuses).filter(
        "uid", zone_name="tel_aviv", tariffs=["robot", "surge", "surge_too", "child", "robot", "free", "surge"]
    )
    assert statuses.asked == [("uid", ("sdc", "surge"), "tel_aviv")]
    assert found == FilteredTariffs(
        shown=["surge", "child", "free"],
        hidden={"robot": "eula_rejected", "surge_too": "eula_accepted"},
    )


@pytest.mark.parametrize(
    ("zone", "tariffs"),
    [("tel_aviv", ["child", "free"]), ("tel_aviv", []), ("nowhere", ["surge", "robot"])],
    ids=["nothing that requires", "nothing", "a zone that is not configured"],
)
async def test_eulas_is_not_asked_where_nothing_requires_it(zone: str, tariffs: list[str]) -> None:
    statuses = ScriptedStatuses({})
    found = await tariff_filter(TWO_TYPES, statuses).filter("uid", zone_name=zone, tariffs=tariffs)
    assert statuses.asked == []
    assert found == FilteredTariffs(tariffs, {})


@pytest.mark.parametrize(("enabled", "experiment"), [(False, True), (True, False), (False, False)])
async def test_eulas_is_not_asked_while_it_is_switched_off(enabled: bool, experiment: bool) -> None:
    statuses = ScriptedStatuses({"surge": ACCEPTED})
    switched_off = config(
        enabled=enabled, strict=requires("surge", "accepted"), lenient=requires("surge", "unknown", "accepted")
    )
    found = await tariff_filter(switched_off, statuses, experiment=experiment).filter(
        "uid", zone_name="tel_aviv", tariffs=["strict", "lenient", "free"]
    )
    assert statuses.asked == []
    assert found == FilteredTariffs(["lenient", "free"], {"strict": "eulas_unavailable"})


async def test_the_experiment_is_asked_about_this_rider_and_only_where_it_matters() -> None:
    asked: list[str] = []

    def plugin_eulas(uid: str) -> bool:
        asked.append(uid)
        return uid == "in"

    filtered = TariffFilter(
        lambda: config(surge=requires("surge", "accepted")),
        plugin_eulas=plugin_eulas,
        statuses=ScriptedStatuses({"surge": ACCEPTED}),
    )
    for uid, shown in (("in", ["surge"]), ("out", [])):
        assert (await filtered.filter(uid, zone_name="tel_aviv", tariffs=["surge"])).shown == shown
        await filtered.filter(uid, zone_name="tel_aviv", tariffs=["free"])
    assert asked == ["in", "out"]
