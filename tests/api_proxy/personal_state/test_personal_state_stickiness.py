"""Riders stay in as the shares grow, by hundredths of a percent; whose writes are in, theirs reads are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ridehail_clients import ComparedKind
from ridehail_servers import resources
from ridehail_servers.api_proxy.personal_state.route import Mode, Route, choose_route
from ridehail_servers.chassis.experiments import Experiments
from tests.api_proxy.personal_state.personal_state_harness import READS, WRITES

WHOLE = 10_000
SHARES = [0, 1, 2, 5, 10, 100, 101, 500, 2_500, 5_000, 9_999, WHOLE]
TEAM = ["4000000001", "4000000002"]
SHIPPED = resources.folder("config") / "flags.json"

Made = Callable[..., Experiments]


@pytest.fixture(scope="module")
def experiments(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Makes the shipped experiments with other shares, of 10000, and with a team."""
    folder = tmp_path_factory.mktemp("flags")

    @cache
    def made(reads: int, writes: int, *team: str) -> Experiments:
        file = Path(shutil.copy(SHIPPED, folder / f"{reads}-{writes}-{len(team)}.json"))
        content = json.loads(file.read_text())
        for name, share in ((READS, reads), (WRITES, writes)):
            branches = content["flags"][name]["targeting"]["if"]
            branches[0]["in"][1] = list(team)
            branches[2]["fractional"][1:] = [["on", share], ["off", WHOLE - share]]
        file.write_text(json.dumps(content))
        return Experiments(file)

    return made


def test_nobody_takes_part_as_it_is_shipped() -> None:
    shipped = Experiments(SHIPPED)
    for name in (READS, WRITES):
        assert not any(shipped.enabled(name, passenger=str(4_000_000_000 + uid)) for uid in range(500))


@settings(max_examples=100, deadline=None)
@given(uid=st.one_of(st.integers(1, 10**12).map(str), st.text(min_size=1, max_size=20)), data=st.data())
def test_a_rider_who_is_in_stays_in_as_the_share_grows(experiments: Made, uid: str, data: st.DataObject) -> None:
    smaller, larger = sorted(data.draw(st.lists(st.sampled_from(SHARES), min_size=2, max_size=2)))
    for name in (READS, WRITES):
        before = experiments(smaller, smaller).enabled(name, passenger=uid)
        after = experiments(larger, larger).enabled(name, passenger=uid)
        assert after or not before
        assert not experiments(0, 0).enabled(name, passenger=uid)
        assert experiments(WHOLE, WHOLE).enabled(name, passenger=uid)


@settings(max_examples=100, deadline=None)
@given(uid=st.integers(1, 10**12).map(str), data=st.data())
def test_riders_whose_writes_are_in_are_among_those_whose_reads_are(
    experiments: Made, uid: str, data: st.DataObject
) -> None:
    writes, reads = sorted(data.draw(st.lists(st.sampled_from(SHARES), min_size=2, max_size=2)))
    flags = experiments(reads, writes)
    assert flags.enabled(READS, passenger=uid) or not flags.enabled(WRITES, passenger=uid)


def test_a_hundredth_of_a_percent_is_a_step(experiments: Made) -> None:
    """Of 20 000 riders it takes two in."""
    uids = [str(4_000_000_000 + 7 * number) for number in range(20_000)]
    at_two = {uid for uid in uids if experiments(2, 0).enabled(READS, passenger=uid)}
    at_one = {uid for uid in at_two if experiments(1, 0).enabled(READS, passenger=uid)}
    assert 1 <= len(at_one) <= 8
    assert len(at_one) < len(at_two) <= 14


def test_the_shares_are_what_they_say(experiments: Made) -> None:
    uids = [str(4_000_000_000 + number) for number in range(3_000)]
    for share in (500, 2_500, 5_000):
        found = sum(experiments(share, share).enabled(READS, passenger=uid) for uid in uids)
        assert found == pytest.approx(len(uids) * share / WHOLE, rel=0.15)


def test_the_team_is_in_before_everybody_else(experiments: Made) -> None:
    flags = experiments(0, 0, *TEAM)
    for name in (READS, WRITES):
        assert [uid for uid in (*TEAM, "4000000003", "400000000") if flags.enabled(name, passenger=uid)] == TEAM


def test_the_commands_of_the_runbook_find_the_shares_and_the_teams() -> None:
    text = SHIPPED.read_text()
    for name in (READS, WRITES):
        block = re.search(rf'"{name}": {{\n.*?fractional.*?\n', text, re.S)
        assert block is not None
        assert '["on", 0], ["off", 10000]' in block[0].splitlines()[-1]
        assert '{"in": [{"var": "targetingKey"}, []]}' in block[0]


# kind, reads in, writes in -> where it goes in the modes `compare` and `new`
ROUTES = {
    (ComparedKind.READ, False, False): (Route.OLD, Route.OLD),
    (ComparedKind.READ, False, True): (Route.OLD, Route.OLD),
    (ComparedKind.READ, True, False): (Route.COMPARE, Route.NEW),
    (ComparedKind.READ, True, True): (Route.COMPARE, Route.NEW),
    (ComparedKind.WRITE, False, False): (Route.OLD, Route.OLD),
    (ComparedKind.WRITE, False, True): (Route.COMPARE, Route.COMPARE),
    (ComparedKind.WRITE, True, False): (Route.OLD, Route.OLD),
    (ComparedKind.WRITE, True, True): (Route.COMPARE, Route.NEW),
}


@pytest.mark.parametrize(("case", "expected"), ROUTES.items())
def test_who_is_asked(case: tuple[ComparedKind, bool, bool], expected: tuple[Route, Route]) -> None:
    kind, reads, writes = case
    for mode, wanted in zip((Mode.COMPARE, Mode.NEW), expected, strict=True):
        assert choose_route(kind, mode, reads=lambda: reads, writes=lambda: writes) is wanted
