"""The filters agree with one another for any configuration, decisions and time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ridehail_servers.eulas.decision import Decision, Status, valid_decisions
from ridehail_servers.eulas.errors import ZoneNameMissing
from ridehail_servers.eulas.eula_catalogue import Eula, EulaCatalogue, UserLocation
from ridehail_servers.eulas.eula_filter import Filter, check_filter, filter_eulas
from ridehail_servers.eulas.eula_save import refresh
from ridehail_servers.eulas.eula_status import status_of_eula, status_of_type

T0 = datetime(2026, 11, 20, tzinfo=UTC)
IDS, TYPES = [f"eula-{letter}" for letter in "abcdef"], ["surge", "sdc"]
ZONES = {"tel_aviv": "isr", "haifa": "isr", "moscow": "rus"}
COUNTRIES, TARIFFS = ["isr", "rus", "blr"], ["econom", "child"]


def some(values: list[str]) -> st.SearchStrategy[frozenset[str]]:
    return st.frozensets(st.sampled_from(values), max_size=2)


EULAS = st.lists(
    st.builds(
        Eula,
        eula_id=st.sampled_from(IDS),
        type=st.sampled_from(TYPES),
        revision=st.integers(1, 3),
        ttl_s=st.just(86_400),
        rejectable=st.booleans(),
        countries=some(COUNTRIES),
        zones=some(list(ZONES)),
        tariffs=some(TARIFFS),
        title=st.just({"en": "Title"}),
    ),
    unique_by=lambda eula: eula.eula_id,
)
DECISIONS = st.lists(
    st.builds(
        Decision,
        eula_id=st.sampled_from([*IDS, "gone-1", "gone-2"]),
        status=st.sampled_from([Status.ACCEPTED, Status.REJECTED]),
        revision=st.integers(1, 3),
        valid_till=st.sampled_from([T0 + timedelta(seconds=seconds) for seconds in range(-2, 3)]),
        updated_at=st.just(T0 - timedelta(days=1)),
    ),
    unique_by=lambda decision: decision.eula_id,
)
NOW = st.sampled_from([T0 + timedelta(seconds=seconds) for seconds in range(-3, 4)])
LOCATIONS = st.builds(
    UserLocation,
    zone_name=st.sampled_from([*ZONES, "nowhere"]),
    country=st.sampled_from([None, *COUNTRIES]),
    tariffs=some([*TARIFFS, "other"]),
)


@given(EULAS, DECISIONS, NOW, LOCATIONS)
def test_the_filters_partition_the_agreements(
    eulas: list[Eula], decisions: list[Decision], now: datetime, location: UserLocation
) -> None:
    catalogue = EulaCatalogue(eulas, ZONES)
    valid = valid_decisions(decisions, catalogue, now)

    def shown(wanted: Filter) -> set[tuple[str, Status]]:
        listed = filter_eulas(wanted, catalogue, valid, location)
        assert len({one.eula_id for one in listed}) == len(listed)
        return {(one.eula_id, one.status) for one in listed}

    unknown, accepted, rejected = shown(Filter.UNKNOWN), shown(Filter.ACCEPTED), shown(Filter.REJECTED)
    assert shown(Filter.SIGNED) == accepted | rejected
    assert shown(Filter.ALL) == unknown | accepted | rejected
    ids = [{eula_id for eula_id, _status in part} for part in (unknown, accepted, rejected)]
    assert sum(map(len, ids)) == len(set().union(*ids))
    assert {status for _eula_id, status in unknown} <= {Status.UNKNOWN}
    assert {status for _eula_id, status in accepted} <= {Status.ACCEPTED}
    assert {status for _eula_id, status in rejected} <= {Status.REJECTED}


@given(EULAS, DECISIONS, NOW, LOCATIONS)
def test_a_list_is_in_the_order_of_the_configuration_then_by_id(
    eulas: list[Eula], decisions: list[Decision], now: datetime, location: UserLocation
) -> None:
    catalogue = EulaCatalogue(eulas, ZONES)
    order = [eula.eula_id for eula in eulas]
    listed = filter_eulas(Filter.ALL, catalogue, valid_decisions(decisions, catalogue, now), location)
    configured = [one.eula_id for one in listed if one.eula is not None]
    gone = [one.eula_id for one in listed if one.eula is None]
    assert [one.eula_id for one in listed] == configured + gone
    assert configured == [eula_id for eula_id in order if eula_id in configured]
    assert gone == sorted(gone)
    assert not set(gone) & set(order)


@given(EULAS, DECISIONS, NOW, LOCATIONS)
def test_a_list_and_a_check_agree(
    eulas: list[Eula], decisions: list[Decision], now: datetime, location: UserLocation
) -> None:
    catalogue = EulaCatalogue(eulas, ZONES)
    valid = valid_decisions(decisions, catalogue, now)
    for one in filter_eulas(Filter.ALL, catalogue, valid, location):
        checked = status_of_eula(one.eula_id, catalogue, valid)
        assert checked.status == (Status.UNKNOWN if one.eula is None else one.status)


@given(EULAS, DECISIONS, NOW, st.sampled_from([None, *ZONES, "nowhere"]))
def test_a_type_is_decided_by_the_agreements_that_apply_in_the_zone(
    eulas: list[Eula], decisions: list[Decision], now: datetime, zone_name: str | None
) -> None:
    catalogue = EulaCatalogue(eulas, ZONES)
    valid = valid_decisions(decisions, catalogue, now)
    ranks = [Status.ACCEPTED, Status.REJECTED, Status.UNKNOWN]
    applying = [
        eula
        for eula in eulas
        if zone_name is None
        or (
            (not eula.zones or zone_name in eula.zones)
            and (not eula.countries or ZONES.get(zone_name) in eula.countries)
        )
    ]
    for eula_type in (*TYPES, "nothing"):
        alone = [status_of_eula(eula.eula_id, catalogue, valid) for eula in applying if eula.type == eula_type]
        decided = status_of_type(eula_type, catalogue, valid, zone_name)
        assert decided.status == min((one.status for one in alone), key=ranks.index, default=Status.UNKNOWN)
        assert (decided.eula_id == "") == (decided.status is Status.UNKNOWN)
        if decided.eula_id:
            assert decided in alone


@given(EULAS, DECISIONS, NOW)
def test_a_decision_counts_until_it_expires_and_on_no_older_revision(
    eulas: list[Eula], decisions: list[Decision], now: datetime
) -> None:
    revisions = {eula.eula_id: eula.revision for eula in eulas}
    valid = valid_decisions(decisions, EulaCatalogue(eulas, ZONES), now)
    for decision in decisions:
        counts = decision.valid_till > now and not decision.revision < revisions.get(decision.eula_id, 0)
        assert (decision.eula_id in valid) == counts


@given(EULAS, LOCATIONS)
def test_an_agreement_applies_if_zone_country_and_tariffs_match(eulas: list[Eula], location: UserLocation) -> None:
    applicable = EulaCatalogue(eulas, ZONES).applicable(location)
    country = location.country or ZONES.get(location.zone_name)
    for eula in eulas:
        bounds = [
            not eula.zones or location.zone_name in eula.zones,
            not eula.countries or country in eula.countries,
            not eula.tariffs or not location.tariffs or not location.tariffs.isdisjoint(eula.tariffs),
        ]
        assert (eula in applicable) == all(bounds)


@pytest.mark.parametrize("wanted", list(Filter))
def test_only_filters_with_unknown_agreements_need_a_zone(wanted: Filter) -> None:
    check_filter(wanted, UserLocation("tel_aviv"))
    if wanted in {Filter.UNKNOWN, Filter.ALL}:
        with pytest.raises(ZoneNameMissing):
            check_filter(wanted, None)
    else:
        check_filter(wanted, None)


@given(EULAS, st.data())
def test_a_refresh_is_requested_if_a_decision_can_change_a_tariff(eulas: list[Eula], data: st.DataObject) -> None:
    """By the statuses themselves: a decision changes a tariff if it can change the status of its type in its zone."""
    saved = data.draw(st.lists(st.sampled_from(eulas), max_size=3) if eulas else st.just([]))
    zones = st.sampled_from([*ZONES, "nowhere"])
    required = data.draw(st.dictionaries(zones, st.frozensets(st.sampled_from([*TYPES, "nothing"]))))
    catalogue = EulaCatalogue(eulas, ZONES)

    def statuses(decided_on: Eula | None) -> set[tuple[str, str, Status]]:
        end = T0 + timedelta(days=1)
        valid = {decided_on.eula_id: Decision(decided_on.eula_id, Status.ACCEPTED, 3, end, T0)} if decided_on else {}
        return {
            (zone, eula_type, status_of_type(eula_type, catalogue, valid, zone).status)
            for zone, types in required.items()
            for eula_type in types
        }

    can_change = any(statuses(eula) != statuses(None) for eula in saved)
    assert refresh(saved, catalogue, required) == (["routestats"] if can_change else [])
