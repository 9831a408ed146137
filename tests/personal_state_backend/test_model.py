"""Any updates, mock ones, copies and calls at once, in any order: both back ends do what the model does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from ridehail_clients import PersonalState, RevisionConflict
from tests.personal_state_backend.backends import NAMES, BackEnd, Settings, back_ends_of, by_category, copy_of
from tests.support.loop_thread import LoopThread
from tests.support.state_machines import run_machine, running_in_a_thread
from tests.support.suite_in_process import suite_in_process

SELECTED = st.sampled_from([None, "", "econom", "vip"])
REQUIREMENTS = st.sampled_from([{}, {"a": 1}, {"b": [1, {"c": None}]}])
TARIFFS = st.dictionaries(st.sampled_from(["econom", "vip", "a b", "\u044b"]), REQUIREMENTS, max_size=3)
# Mostly the present revision, sometimes one beside it.
OFF = st.sampled_from([0, 0, 0, -1, 1])
uids = itertools.count()


@dataclass
class Model:
    """A model of a user's state."""

    revision: int = 0
    selected: str = ""
    tariffs: Settings = field(default_factory=dict)

    def updated(self, selected: str | None, tariffs: Settings) -> Model:
        return Model(self.revision + 1, self.selected if selected is None else selected, {**self.tariffs, **tariffs})

    def snapshot(self) -> Any:
        return str(self.revision), self.selected, self.tariffs


def snapshot(state: PersonalState) -> Any:
    return state.revision_id, state.selected_category, by_category(state.tariffs)


class States(RuleBasedStateMachine):
    """One user, in both back ends and in the model."""

    loop: ClassVar[LoopThread]
    at: ClassVar[Mapping[str, BackEnd]]

    @initialize()
    def user_comes(self) -> None:
        self.uid = f"user-{next(uids)}"
        self.model = Model()
        self.back_ends = list(self.at.values())

    @rule(off=OFF, selected=SELECTED, tariffs=TARIFFS, mock=st.booleans())
    def update(self, off: int, selected: str | None, tariffs: Settings, mock: bool) -> None:
        expected = self.model.updated(selected, tariffs)
        update = (str(self.model.revision + off), selected, tariffs)
        for back_end in self.back_ends:
            outcome = self.loop.run(self._outcome(back_end, *update, mock=mock))
            assert outcome == (str(self.model.revision) if off else expected.snapshot())
        if not off and not mock:
            self.model = expected

    @rule(changes=st.lists(st.tuples(SELECTED, TARIFFS, st.booleans()), min_size=2, max_size=4))
    def update_at_once(self, changes: list[tuple[str | None, Settings, bool]]) -> None:
        """Of real updates of a revision one succeeds; mock ones see the state before or after it."""
        before, winners = str(self.model.revision), set()
        possible = [self.model.updated(selected, tariffs) for selected, tariffs, _mock in changes]
        outcomes = self.loop.run(self._at_once(self.back_ends[0], before, changes))
        for place, ((_selected, _tariffs, mock), outcome) in enumerate(zip(changes, outcomes, strict=True)):
            if isinstance(outcome, tuple):
                assert outcome == possible[place].snapshot()
                winners |= set() if mock else {place}
            else:
                assert outcome == str(self.model.revision + 1)
        assert len(winners) == any(not mock for *_change, mock in changes)
        for place in winners:
            self.loop.run(self.back_ends[1].update(before, *changes[place][:2], uid=self.uid))
            self.model = possible[place]

    @rule(off=st.sampled_from([-1, 0, 1, 5]), selected=st.sampled_from(["", "vip"]), tariffs=TARIFFS)
    def take_a_copy(self, off: int, selected: str, tariffs: Settings) -> None:
        copy = Model(max(0, self.model.revision + off), selected, tariffs)
        is_newer = copy.revision > self.model.revision
        for back_end in self.back_ends:
            stored = self.loop.run(back_end.take(copy_of(self.uid, copy.revision, selected, tariffs)))
            assert stored == is_newer
        if is_newer:
            self.model = copy

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        if not hasattr(self, "model"):
            return
        for back_end in self.back_ends:
            assert snapshot(self.loop.run(back_end.get(self.uid))) == self.model.snapshot()
            copies = self.loop.run(back_end.copies(after_yandex_uid=self.uid[:-1], page_size=1000))
            mine = [
                (one.revision_id, one.selected_category, by_category(one.tariffs))
                for one in copies
                if one.yandex_uid == self.uid
            ]
            assert mine == ([self.model.snapshot()] if self.model.revision else [])

    async def _outcome(self, back_end: BackEnd, *update: Any, mock: bool) -> Any:
        try:
            return snapshot(await back_end.update(*update, uid=self.uid, mock=mock))
        except RevisionConflict as conflict:
            return conflict.metadata["current_revision_id"]

    async def _at_once(
        self, back_end: BackEnd, revision: str, changes: list[tuple[str | None, Settings, bool]]
    ) -> list[Any]:
        return await asyncio.gather(
            *(self._outcome(back_end, revision, selected, tariffs, mock=mock) for selected, tariffs, mock in changes)
        )


@asynccontextmanager
async def running(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[Mapping[str, BackEnd]]:
    suite = suite_in_process(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=NAMES)
    async with suite as served, back_ends_of(served) as back_ends:
        yield back_ends


@pytest.fixture
def machine(database_url: str, keys_dir: Path, config_dir: Path) -> Iterator[type[States]]:
    with running_in_a_thread(running(database_url, keys_dir, config_dir)) as (States.loop, States.at):
        yield States


@pytest.mark.timeout(170)
def test_both_back_ends_do_what_the_model_does(machine: type[States]) -> None:
    run_machine(machine, examples=12, steps=8)
