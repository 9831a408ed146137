"""Which back ends are called, in which order, with which headers, and what the rider gets: every case of a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from ridehail_clients import InvalidRequest, NeighbourUnavailable, RevisionConflict
from ridehail_servers.chassis.errors import DatabaseUnavailable, Internal, Overloaded
from ridehail_servers.personal_state_backend import errors
from tests.api_proxy.personal_state.personal_state_harness import (
    COMPARE,
    READ,
    WRITE,
    Got,
    StateHarness,
    configure,
    set_experiments,
    state_harness,
)
from tests.support.fault_proxy import Fault, down, failing_with, hanging
from tests.support.waiting import until

# The longest that there is.
EVER_MS = 2000
MOCK = "x-ya-mock-write-request"
CONFLICT = errors.RevisionConflict(77)

# What the new back end does; it answers nothing of this itself while its address refuses connections ("down").
NEW: dict[str, Fault | None] = {
    "up": None,
    "slow": hanging,
    "409": failing_with(CONFLICT),
    "failing": failing_with(Internal("a-request")),
    "unavailable": down,
    "overloaded": failing_with(Overloaded()),
    "database": failing_with(DatabaseUnavailable()),
}
# Of `calls`: mock is a write of the new back end that is to be undone. Of `answer`: 409 is that of the new back end,
# and "unknown" an error that leaves open what became of the write.
TABLE = """
    kind   rider    new          calls          answer    compared
    read   out      any          old            old       no
    read   compare  up           new old        old       yes
    read   compare  slow         new old        old       no
    read   compare  down         old            old       no
    read   compare  409          new old        old       yes
    read   compare  failing      new old        old       no
    read   compare  unavailable  new old        old       no
    read   compare  overloaded   new old        old       no
    read   compare  database     new old        old       no
    read   new      up           new            new       no
    read   new      slow         new old        old       no
    read   new      down         old            old       no
    read   new      409          new            409       no
    read   new      failing      new old        old       no
    read   new      unavailable  new old        old       no
    read   new      overloaded   new old        old       no
    read   new      database     new old        old       no
    write  out      any          old            old       no
    write  compare  up           mock old       old       yes
    write  compare  slow         mock old       old       no
    write  compare  down         old            old       no
    write  compare  409          mock old       old       yes
    write  compare  failing      mock old       old       no
    write  compare  unavailable  mock old       old       no
    write  compare  overloaded   mock old       old       no
    write  compare  database     mock old       old       no
    write  new      up           new            new       no
    write  new      slow         new            unknown   no
    write  new      down         old            old       no
    write  new      409          new            409       no
    write  new      failing      new            unknown   no
    write  new      unavailable  new            unknown   no
    write  new      overloaded   new old        old       no
    write  new      database     new            unknown   no
"""


@dataclass(frozen=True)
class Case:
    """A line of the table."""

    kind: str
    rider: str
    new: str
    calls: tuple[str, ...]
    response: str
    is_compared: bool
    old_is_up: bool

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.rider}-{self.new}"

    @property
    def uid(self) -> str:
        return f"{'out' if self.rider == 'out' else 'in'}-{self.name}"

    @property
    def expected_calls(self) -> list[str]:
        return [one for one in self.calls if one != "old" or self.old_is_up]

    @property
    def expected_answer(self) -> str:
        return "no protocol" if self.response == "old" and not self.old_is_up else self.response


def cases(*, old_is_up: bool, new_is_up: bool) -> list[Case]:
    """Returns the lines of the table that are about back ends that are up or down."""
    found = []
    for line in TABLE.strip().splitlines()[1:]:
        kind, rider, new, *calls, response, compared = line.split()
        if new == "any":
            new = "up" if new_is_up else "down"
        if (new != "down") == new_is_up:
            found.append(Case(kind, rider, new, tuple(calls), response, compared == "yes" and old_is_up, old_is_up))
    return found


def test_the_table_is_whole() -> None:
    everything = [*cases(old_is_up=True, new_is_up=True), *cases(old_is_up=True, new_is_up=False)]
    seen = {(one.kind, one.rider, one.new) for one in everything if one.rider != "out"}
    assert seen == {
        (kind, rider, new) for kind in ("read", "write") for rider in ("compare", "new") for new in (*NEW, "down")
    }


@pytest.mark.parametrize("new_is_up", [True, False], ids=["new up", "new down"])
@pytest.mark.parametrize("old_is_up", [True, False], ids=["old up", "old down"])
async def test_each_case_goes_as_the_table_says(
    module_database_url: str, keys_dir: Path, config_dir: Path, old_is_up: bool, new_is_up: bool
) -> None:
    configure(config_dir, new_timeout_ms=EVER_MS, mode="compare")
    set_experiments(config_dir)
    table = cases(old_is_up=old_is_up, new_is_up=new_is_up)
    async with state_harness(
        database_url=module_database_url,
        keys_dir=keys_dir,
        config_dir=config_dir,
        old_is_up=old_is_up,
        new_is_up=new_is_up,
        watched=False,
    ) as harness:
        await harness.empty()
        await harness.give(*(case.uid for case in table))
        for case in (one for one in table if one.rider != "new"):
            await check(harness, case)
        harness.configure(mode="new")
        for case in (one for one in table if one.rider == "new"):
            await check(harness, case)
        await until(lambda: len(compared(harness)) >= sum(case.is_compared for case in table))
        # Also those that nobody waited for: a case that is not to be compared has not been.
        assert sorted(compared(harness)) == sorted(case.name for case in table if case.is_compared)


async def check(harness: StateHarness, case: Case) -> None:
    fault = NEW.get(case.new)
    if fault is hanging:
        harness.configure(new_timeout_ms=300)
    harness.new.heal()
    if fault is not None:
        harness.new.fail(fault, "PersonalState")
    act = harness.read if case.kind == "read" else harness.write
    got = await act(case.uid, request_id=case.name)
    assert told(got) == case.expected_answer, case.name
    calls = [one for one in harness.calls(case.name) if one.method != COMPARE]
    assert [who(one.to, MOCK in one.headers) for one in calls] == case.expected_calls, case.name
    assert {one.method for one in calls} <= {READ if case.kind == "read" else WRITE}
    if case.is_compared:
        await until(lambda: case.name in compared(harness))
        assert harness.calls(case.name)[-1].method == COMPARE
        assert MOCK not in harness.calls(case.name)[-1].headers
    assert await harness.revisions(case.uid) == revisions(case), case.name
    if fault is hanging:
        harness.configure(new_timeout_ms=EVER_MS)


def who(to: str, is_mock: bool) -> str:
    """Returns a word of the table. The old back end is never called for a write that is undone."""
    assert not (is_mock and to == "old")
    return "mock" if is_mock else to


def told(got: Got) -> str:
    """Returns a word of the table."""
    match got.error:
        case None:
            return str(got.by)
        case RevisionConflict(metadata=metadata) if metadata["current_revision_id"] == "77":
            assert got.error.code is grpc.StatusCode.ABORTED
            return "409"
        case NeighbourUnavailable(metadata=metadata):
            return {"protocol": "no protocol", "user-state": "unknown"}[metadata["neighbour"]]
    raise AssertionError(got.error)


def revisions(case: Case) -> tuple[str, str]:
    """Returns the revisions that the two back ends have in the end."""
    if case.kind == "read":
        return "1", "1"
    by = case.expected_answer
    return ("2" if by == "old" else "1"), ("2" if by == "new" else "1")


def compared(harness: StateHarness) -> list[str]:
    """Returns the requests whose answers were compared."""
    return [str(one.headers["x-request-id"]) for one in harness.log if one.method == COMPARE]


# --- what the old back end refuses


async def test_what_the_old_back_end_refuses_the_rider_is_told_as_it_is(
    module_database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    set_experiments(config_dir)
    configure(config_dir, new_timeout_ms=EVER_MS)
    async with state_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=config_dir, watched=False
    ) as harness:
        await harness.empty()
        await harness.give("out-1", "in-1")
        for uid in ("out-1", "in-1"):
            got = await harness.write(uid, "5")
            assert isinstance(got.error, RevisionConflict)
            assert got.error.metadata == {"current_revision_id": "1"}
            assert got.error.code is grpc.StatusCode.ABORTED
        harness.old.fail(failing_with(CONFLICT), READ)
        assert told(await harness.read("out-1")) == "409"
        refused = errors.PersonalStateTooLarge(max_bytes=1, max_tariffs=2, max_values=3)
        harness.old.fail(failing_with(refused), READ)
        got = await harness.read("in-1")
        assert got.error is not None
        assert (got.error.reason, got.error.metadata) == (refused.reason, refused.metadata)
        assert not isinstance(got.error, InvalidRequest)
