"""Any saves, passing time and edits of the configuration, in any order: the service does what the model does."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from ridehail.eulas.v1.eulas_pb2 import EulaCheck
from ridehail_clients import ServiceError
from tests.eulas.agreements_model import Model
from tests.eulas.harness import EULAS, ZONES, Harness, agreement, harness
from tests.eulas.users import User
from tests.support.loop_thread import LoopThread
from tests.support.state_machines import run_machine, running_in_a_thread

IDS = [eula["eula_id"] for eula in EULAS] + ["later"]
TYPES = ["surge", "sdc", "rules", "later"]
FILTERS = ["unknown", "accepted", "rejected", "signed", "all"]
LATER = agreement("later", "later", countries=["isr"], ttl_s=60)
STATUS = st.sampled_from(["accepted", "rejected"])
# Mostly what can be decided on, sometimes what cannot; the same one often twice.
BATCHES = st.lists(st.tuples(st.sampled_from([*IDS, *IDS[:2], "nothing"]), STATUS), min_size=1, max_size=5)
# Ends of validity fall on timestamps that are visited, and the second before.
PASSES = st.sampled_from([1, 59, 60, 3599, 3600, 86_399, 86_400, 200_000])
uids = itertools.count()


class Agreements(RuleBasedStateMachine):
    """One user, in the service and in the model."""

    loop: ClassVar[LoopThread]
    at: ClassVar[Harness]

    @initialize()
    def user_comes(self) -> None:
        self.user: User = self.at.user(f"user-{next(uids)}")
        self.began = self.at.clock[0]
        self.model = Model([*EULAS], dict(ZONES))
        self.zones = itertools.cycle([("tel_aviv", []), ("moscow", ["econom"]), ("nowhere", [])])
        self.places = itertools.cycle([None, "tel_aviv", "moscow"])
        self.loop.run(self._configure())

    @rule(batch=BATCHES, by_app=st.booleans())
    def save(self, batch: list[tuple[str, str]], by_app: bool) -> None:
        expected = self.model.save(batch, "passenger" if by_app else "admin")
        assert self.loop.run(self._saved(batch, by_app=by_app)) == expected

    @rule(first=BATCHES, second=BATCHES)
    def save_at_once(self, first: list[tuple[str, str]], second: list[tuple[str, str]]) -> None:
        """Two apps of one account: the result is that of one batch after the other."""
        logged = len(self.model.log)
        outcomes = [self.model.save(first, "passenger"), self.model.save(second, "passenger")]
        assert self.loop.run(self._saved_at_once(first, second)) == outcomes
        log = self.loop.run(self.user.log())
        assert sorted(log[logged:]) == sorted(self.model.log[logged:])
        for eula_id, status, _revision, _source in log[logged:]:
            self.model.decided[str(eula_id)].status = str(status)
        self.model.log[logged:] = log[logged:]  # type: ignore[assignment]

    @rule(seconds=PASSES)
    def time_passes(self, seconds: int) -> None:
        self.model.now += seconds
        self.at.pass_time(timedelta(seconds=seconds))

    @rule(number=st.integers(0, 3))
    def revision_is_raised(self, number: int) -> None:
        self._edit(number, lambda eula: {"revision": eula["revision"] + 1})

    @rule(number=st.integers(0, 3), ttl_s=st.sampled_from([1, 60, 86_400]))
    def time_to_live_is_changed(self, number: int, ttl_s: int) -> None:
        self._edit(number, lambda _eula: {"ttl_s": ttl_s})

    @rule(number=st.integers(0, 3), zones=st.sampled_from([[], ["moscow"], ["haifa", "tel_aviv"]]))
    def agreement_moves(self, number: int, zones: list[str]) -> None:
        self._edit(number, lambda _eula: {"zones": zones})

    @precondition(lambda self: len(self.model.eulas) > 1)
    @rule(number=st.integers(0, 3))
    def agreement_is_removed(self, number: int) -> None:
        del self.model.eulas[number % len(self.model.eulas)]
        self.loop.run(self._configure())

    @precondition(lambda self: self.model.configured("later") is None)
    @rule(position=st.integers(0, 3))
    def agreement_is_added(self, position: int) -> None:
        self.model.eulas.insert(position, LATER)
        self.loop.run(self._configure())

    @rule(country=st.sampled_from(["isr", "rus"]))
    def zone_changes_its_country(self, country: str) -> None:
        self.model.zones["tel_aviv"] = country
        self.loop.run(self._configure())

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        if hasattr(self, "model"):
            self.loop.run(self._compare())

    def _edit(self, number: int, change: Any) -> None:
        position = number % len(self.model.eulas)
        eula = self.model.eulas[position]
        self.model.eulas[position] = {**eula, **change(eula)}
        self.loop.run(self._configure())

    async def _configure(self) -> None:
        await self.at.configure(self.model.eulas, self.model.zones)

    async def _saved(self, batch: list[tuple[str, str]], *, by_app: bool) -> str:
        try:
            await (self.user.save_own if by_app else self.user.save)(*batch)
        except ServiceError as error:
            return error.reason
        return "OK"

    async def _saved_at_once(self, *batches: list[tuple[str, str]]) -> list[str]:
        return list(await asyncio.gather(*(self._saved(batch, by_app=True) for batch in batches)))

    async def _compare(self) -> None:
        """Compares all that is stored, and another part of the responses each time."""
        assert await self.user.log() == self.model.log
        stored = await self.user.stored()
        assert stored == await self.user.last_logged()
        assert stored == [
            (eula_id, one.status, one.revision, self.began + timedelta(seconds=one.until))
            for eula_id, one in sorted(self.model.decided.items())
        ]
        zone, tariffs = next(self.zones)
        lists = {wanted: await self.user.listed(wanted, zone, tariffs=tariffs) for wanted in FILTERS}
        assert lists == {wanted: self.model.listed(wanted, zone, tariffs) for wanted in FILTERS}
        assert await self.user.check(*IDS) == [self.model.checked(eula_id) for eula_id in IDS]
        position = next(self.places)
        checked = await self.user.check_types(*TYPES, zone_name=position)
        assert checked == [self.model.checked_type(eula_type, position) for eula_type in TYPES]
        by_id, by_type, of_nobody = await self.user.check_many(
            EulaCheck(yandex_uid=self.user.uid, eula_ids=IDS),
            EulaCheck(yandex_uid=self.user.uid, eula_types=TYPES, zone_name=position),
            EulaCheck(yandex_uid="nobody", eula_types=TYPES),
        )
        assert (by_id, by_type) == ([self.model.checked(eula_id) for eula_id in IDS], checked)
        assert of_nobody == [("", eula_type, "unknown") for eula_type in TYPES]


@pytest.fixture
def machine(database_url: str, keys_dir: Path, config_dir: Path) -> Iterator[type[Agreements]]:
    running = harness(database_url=database_url, keys_dir=keys_dir, config_dir=config_dir)
    with running_in_a_thread(running) as (Agreements.loop, Agreements.at):
        yield Agreements


@pytest.mark.timeout(170)
def test_the_service_does_what_the_model_does(machine: type[Agreements]) -> None:
    run_machine(machine, examples=10)
