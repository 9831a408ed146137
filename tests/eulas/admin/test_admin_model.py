"""An admin, riders, a process that lags behind, the task that marks: what counts is what should, in any order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ridehail_servers.chassis.batch_throttle import BatchThrottle
from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.tasks import TaskQueue
from ridehail_servers.eulas.admin.agreement_admin import AgreementAdmin
from ridehail_servers.eulas.admin.agreement_rules import Agreement
from ridehail_servers.eulas.admin.errors import EulaVersionConflict
from ridehail_servers.eulas.admin.eula_change import Author, StoredAgreement
from ridehail_servers.eulas.admin.resign_store import ResignStore
from ridehail_servers.eulas.admin.store import AdminStore
from ridehail_servers.eulas.admin.tasks import ResignTask
from ridehail_servers.eulas.agreements import Agreements, UserDecisions
from ridehail_servers.eulas.catalogue_source import CatalogueSource
from ridehail_servers.eulas.catalogue_store import CatalogueStore
from ridehail_servers.eulas.config import EulasConfig
from ridehail_servers.eulas.decision import Status
from ridehail_servers.eulas.errors import EulaNotFound
from ridehail_servers.eulas.eula_catalogue import Eula
from ridehail_servers.eulas.eula_save import NewDecision
from ridehail_servers.eulas.eula_status import EulaCheck
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.harness import T0
from tests.support.databases import empty_tables, opened_as
from tests.support.loop_thread import LoopThread
from tests.support.state_machines import run_machine, running_in_a_thread

IDS, RIDERS = ("one", "two"), ("a", "b", "c")
CONFIG = EulasConfig.model_validate({"EULAS_SOURCE": "database", "ZONES": {}, "EULAS": []})
AUTHOR = Author("admin", "anna")


@dataclass
class Parts:
    """An admin, two processes and a worker on one database."""

    database: Database
    now: list[datetime]

    def __post_init__(self) -> None:
        self.fresh, self.lagging = (CatalogueSource(lambda: CONFIG, CatalogueStore(), self.clock) for _ in range(2))
        self.task = ResignTask(
            self.database, ResignStore(), TaskQueue("eulas", self.database), self.clock, lambda: BatchThrottle(1, 0)
        )
        self.admin = AgreementAdmin(
            self.database,
            agreements=AdminStore(),
            runs=ResignStore(),
            enqueue=self.enqueue,
            is_in_force=lambda: True,
            clock=self.clock,
        )

    def clock(self) -> datetime:
        return self.now[0]

    async def enqueue(self, _connection: Connection, _version: int) -> None:
        """The machine runs the tasks itself."""

    def process(self, source: CatalogueSource) -> Agreements:
        return Agreements(
            UserDecisions(self.database, EulasStore()),
            catalogue=source.current,
            required_types=dict,
            clock=self.clock,
        )

    async def statuses(self) -> dict[tuple[str, str], Status]:
        """Returns what a process that is up to date says of every rider."""
        await self.fresh.load_first(self.database)
        checks = [EulaCheck(rider, IDS) for rider in RIDERS]
        found = await self.process(self.fresh).check_many(checks)
        return {(r, one.eula_id): one.status for r, of in zip(RIDERS, found, strict=True) for one in of}


@asynccontextmanager
async def parts(url: str) -> AsyncIterator[Parts]:
    async with opened_as(Database, url, "eulas") as database:
        yield Parts(database, [T0])


@dataclass(frozen=True)
class Signed:
    """A decision, the version of the catalogue that it was made on, and until when it counts."""

    status: Status
    version: int
    until: datetime


class AdminAndRiders(RuleBasedStateMachine):
    loop: LoopThread
    at: Parts
    url: str

    @initialize()
    def begin(self) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            empty_tables(connection)
        self.at.now[0] = T0
        self.signed: dict[tuple[str, str], Signed] = {}
        self.stored: dict[str, StoredAgreement] = {}
        self.unfinished: list[tuple[int, str]] = []
        self.kinds: list[str] = []
        for number, eula_id in enumerate(IDS):
            eula = Eula(eula_id=eula_id, type="t", revision=1, ttl_s=100, rejectable=True, title={"en": "T"})
            self.stored[eula_id] = self.loop.run(self.at.admin.create(Agreement(eula, number + 1), AUTHOR))
            self.kinds.append("created")
        self.loop.run(self.at.lagging.load_first(self.at.database))

    @rule(
        eula_id=st.sampled_from(IDS),
        changes=st.sampled_from(
            [{"ttl_s": 50}, {"ttl_s": 100}, {"ttl_s": 200}, {"revision": 1}, {"title": {"en": "U"}}]
        ),
        is_outdated=st.booleans(),
    )
    def admin_updates(self, eula_id: str, changes: dict[str, Any], is_outdated: bool) -> None:
        before = self.stored[eula_id]
        if "revision" in changes:
            changes = {"revision": before.agreement.eula.revision + 1}
        new = Agreement(before.agreement.eula.model_copy(update=changes), 0)
        if is_outdated:
            with pytest.raises(EulaVersionConflict):
                self.loop.run(self.at.admin.update(new, before.version + 1, AUTHOR))
            return
        preview = self.loop.run(self.at.admin.preview(new))
        after = self.loop.run(self.at.admin.update(new, before.version, AUTHOR))
        self.stored[eula_id] = after
        if after.version != before.version:
            self.kinds.append("restored" if before.is_withdrawn else "updated")
        asks = after.asks_since == after.version != before.version
        assert preview.asks_again == asks
        if asks:
            self.unfinished.append((after.version, eula_id))
            assert preview.riders.number >= sum(
                self._must_count(key, before) for key in self.signed if key[1] == eula_id
            )
            (run,) = self.loop.run(self.at.admin.runs(eula_id, 1))
            assert run.expected == preview.riders.number

    @rule(eula_id=st.sampled_from(IDS))
    def admin_withdraws(self, eula_id: str) -> None:
        before = self.stored[eula_id]
        self.stored[eula_id] = self.loop.run(self.at.admin.withdraw(eula_id, before.version, AUTHOR))
        if not before.is_withdrawn:
            self.kinds.append("withdrawn")

    @rule(
        rider=st.sampled_from(RIDERS),
        eula_id=st.sampled_from(IDS),
        status=st.sampled_from([Status.ACCEPTED, Status.REJECTED]),
        is_lagging=st.booleans(),
    )
    def rider_saves(self, rider: str, eula_id: str, status: Status, is_lagging: bool) -> None:
        source = self.at.lagging if is_lagging else self.at.fresh
        if not is_lagging:
            self.loop.run(source.load_first(self.at.database))
        known = source.current().get(eula_id)
        save = self.at.process(source).save_eulas(rider, [NewDecision(eula_id, status)], source="passenger")
        if known is None:
            with pytest.raises(EulaNotFound):
                self.loop.run(save)
            return
        self.loop.run(save)
        version = source.current().version
        assert version is not None
        self.signed[rider, eula_id] = Signed(status, version, self.at.clock() + timedelta(seconds=known.ttl_s))

    @rule()
    def lagging_process_looks(self) -> None:
        self.loop.run(self.at.lagging.load_first(self.at.database))

    @precondition(lambda self: self.unfinished)
    @rule(number=st.integers(0, 3))
    def worker_marks_a_batch(self, number: int) -> None:
        run = self.unfinished[number % len(self.unfinished)]
        if self.loop.run(self.at.task.mark_batch(run[0], 1)):
            self.unfinished.remove(run)

    @rule(seconds=st.sampled_from([1, 60]))
    def time_passes(self, seconds: int) -> None:
        self.at.now[0] += timedelta(seconds=seconds)

    @invariant()
    def what_counts_is_what_should(self) -> None:
        if not hasattr(self, "stored"):
            return
        statuses = self.loop.run(self.at.statuses())
        for key, status in statuses.items():
            signed, stored = self.signed.get(key), self.stored[key[1]]
            if signed is None or signed.until <= self.at.clock() or stored.is_withdrawn:
                assert status is Status.UNKNOWN
            elif self._must_count(key, stored):
                assert status is signed.status
            elif not self._is_being_marked(key[1]):
                assert status is Status.UNKNOWN
            else:
                assert status in (Status.UNKNOWN, signed.status)

    def teardown(self) -> None:
        if not hasattr(self, "stored"):
            return
        for version, _eula_id in self.unfinished:
            self.loop.run(self.at.task.run(version))
        self.unfinished.clear()
        self.what_counts_is_what_should()
        history = self.loop.run(self.at.admin.history(None, None, 100))
        assert [one.kind.value for one in history][::-1] == self.kinds
        assert [one.version for one in history][::-1] == list(range(1, len(self.kinds) + 1))

    def _must_count(self, key: tuple[str, str], stored: StoredAgreement) -> bool:
        """Returns whether a decision was made on what the agreement still says, and has not expired."""
        signed = self.signed[key]
        return signed.version >= stored.asks_since and signed.until > self.at.clock()

    def _is_being_marked(self, eula_id: str) -> bool:
        return any(one == eula_id for _version, one in self.unfinished)


@pytest.fixture
def machine(module_database_url: str) -> Iterator[type[AdminAndRiders]]:
    with running_in_a_thread(parts(module_database_url)) as (AdminAndRiders.loop, AdminAndRiders.at):
        AdminAndRiders.url = module_database_url
        yield AdminAndRiders


@pytest.mark.timeout(170)
def test_what_counts_is_what_should_whatever_the_order(machine: type[AdminAndRiders]) -> None:
    run_machine(machine, examples=12, steps=15)
