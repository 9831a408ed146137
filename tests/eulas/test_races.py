"""Saves of one user at once: the last one that the log names is the one that is in force."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any

import psycopg
import pytest

from ridehail_clients import Overloaded
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.eulas.agreements import UserDecisions
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.harness import DAY, T0, Harness
from tests.eulas.racer import EULA_IDS, UID, race
from tests.eulas.users import User
from tests.support import processes
from tests.support.databases import opened_as
from tests.support.locks import waiting_for_locks
from tests.support.waiting import LIMIT_S, until

PROCESSES, SAVES = 3, 100


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened_as(Database, database_url, "eulas") as database:
        yield database


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        yield connection


def decision(eula_id: str, status: Status = Status.ACCEPTED) -> Decision:
    return Decision(eula_id, status, 1, T0 + DAY, T0)


LAST_LOGGED = """
    SELECT DISTINCT ON (eula_id) eula_id, status::text, revision, valid_till, decided_at
    FROM eulas.decisions WHERE yandex_uid = %s ORDER BY eula_id, decision_id DESC
"""
STORED = """
    SELECT eula_id, status::text, revision, valid_till, updated_at
    FROM eulas.users WHERE yandex_uid = %s ORDER BY eula_id
"""


async def rows(connection: psycopg.AsyncConnection, query: str) -> list[tuple[object, ...]]:
    return await (await connection.execute(query.encode(), (UID,))).fetchall()


@pytest.mark.parametrize("with_purge", [False, True], ids=["saves", "saves and deletions of expired rows"])
async def test_the_stored_decision_is_the_last_logged_one_whatever_processes_race(
    database_url: str, connection: psycopg.AsyncConnection, with_purge: bool
) -> None:
    racers = [processes.start(race, database_url, seed, SAVES) for seed in range(1, PROCESSES + 1)]
    while with_purge and any(racer.is_alive() for racer in racers):
        # One agreement a statement: one that waits for a row holds none that a save could wait for.
        for expired in ("eula-1", "eula-3"):
            await connection.execute("DELETE FROM eulas.users WHERE eula_id = %s", (expired,))
        await asyncio.sleep(0.005)
    for racer in racers:
        assert await asyncio.to_thread(processes.ended_well, racer)
    sources = await rows(
        connection, "SELECT source, count(DISTINCT revision) FROM eulas.decisions WHERE yandex_uid = %s GROUP BY 1"
    )
    assert {source for source, _number in sources} == {f"racer-{seed}" for seed in range(1, PROCESSES + 1)}
    assert all(isinstance(number, int) and number > SAVES * 0.9 for _source, number in sources)
    last = {row[0]: row for row in await rows(connection, LAST_LOGGED)}
    stored = {row[0]: row for row in await rows(connection, STORED)}
    assert stored == {eula_id: last[eula_id] for eula_id in stored}
    assert stored.keys() >= set(EULA_IDS) - ({"eula-1", "eula-3"} if with_purge else set())


async def test_a_save_that_waits_for_another_comes_after_it_in_the_log(
    database: Database, database_url: str, connection: psycopg.AsyncConnection
) -> None:
    decisions, store = UserDecisions(database, EulasStore()), EulasStore()
    await decisions.save(UID, [decision("b")], source="earlier")
    async with await psycopg.AsyncConnection.connect(database_url) as first:
        # given: one that has the row, but no entry in the log yet
        await first.execute("SELECT FROM eulas.users WHERE yandex_uid = %s AND eula_id = 'b' FOR UPDATE", (UID,))
        # when: another comes
        second = asyncio.create_task(
            decisions.save(UID, [decision("c"), decision("b"), decision("a")], source="second")
        )
        await until(lambda: waiting_for_locks(database_url))
        # and: the first goes on
        await store.save(first, UID, [decision("b", Status.REJECTED)], "first")
        await first.commit()
    await second
    # then
    log = "SELECT source FROM eulas.decisions WHERE yandex_uid = %s AND eula_id = 'b' ORDER BY decision_id"
    assert await rows(connection, log) == [("earlier",), ("first",), ("second",)]
    assert await rows(connection, STORED) == await rows(connection, LAST_LOGGED)


async def test_a_save_whose_predecessor_is_rolled_back_is_first(database: Database, database_url: str) -> None:
    decisions, store = UserDecisions(database, EulasStore()), EulasStore()
    async with await psycopg.AsyncConnection.connect(database_url) as rolled_back:
        await store.save(rolled_back, UID, [decision("b", Status.REJECTED)], "rolled_back")
        save = asyncio.create_task(decisions.save(UID, [decision("b")], source="kept"))
        await until(lambda: waiting_for_locks(database_url))
        await rolled_back.rollback()
    await save
    assert await decisions.of_user(UID) == [decision("b")]


async def test_batches_in_opposite_order_never_wait_for_each_other_in_a_circle(
    database: Database, connection: psycopg.AsyncConnection
) -> None:
    decisions = UserDecisions(database, EulasStore())
    forwards = [decision(f"eula-{number:03}") for number in range(100)]
    for _ in range(5):
        await asyncio.gather(
            *(decisions.save(UID, batch, source="x") for batch in (forwards, forwards[::-1]) for _ in range(4))
        )
    deadlocks = await rows(
        connection, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database() AND %s <> ''"
    )
    assert deadlocks == [(0,)]
    assert await rows(connection, STORED) == await rows(connection, LAST_LOGGED)


async def test_users_do_not_wait_for_each_other(database: Database, database_url: str) -> None:
    decisions, store = UserDecisions(database, EulasStore()), EulasStore()
    await decisions.save(UID, [decision("c")], source="earlier")  # the first one draws the user's pseudonym
    async with await psycopg.AsyncConnection.connect(database_url) as held:
        await store.save(held, UID, [decision("b")], "held")
        async with asyncio.timeout(LIMIT_S):
            await decisions.save("another", [decision("b")], source="free")
            await decisions.save(UID, [decision("a")], source="free")


# --- nothing is cached


class HeldBack(Database):
    """Holds the result of every read until the test releases it."""

    def hold(self) -> None:
        self.has_read = asyncio.Event()
        self.passes = asyncio.Event()

    async def read(self, query):  # type: ignore[no-untyped-def]  # as the base has it
        result = await super().read(query)
        self.has_read.set()
        await self.passes.wait()
        return result


@pytest.mark.parametrize("others", [0, 1, 3])
async def test_a_lookup_that_began_before_a_save_is_not_shared_with_one_after_it(
    database_url: str, others: int
) -> None:
    database = HeldBack(database_url, schema="eulas", settings=PoolSettings(), application="eulas")
    await database.open()
    database.hold()
    decisions = UserDecisions(database, EulasStore())
    # given: lookups that have read, but not returned, and others that wait behind them
    before = [asyncio.create_task(decisions.of_user(UID))]
    await database.has_read.wait()
    before += [asyncio.create_task(decisions.of_user(UID)) for _ in range(others)]
    await asyncio.sleep(0)
    # when: a save is through
    await decisions.save(UID, [decision("eula")], source="passenger")
    after = asyncio.create_task(decisions.of_user(UID))
    database.passes.set()
    # then
    assert await after == [decision("eula")]
    assert await before[0] == []
    await asyncio.gather(*before)
    await database.close()


async def test_a_saved_decision_is_in_the_next_list_however_many_users_list_at_once(harness: Harness) -> None:
    async def result_of(call: Callable[[], Awaitable[Any]]) -> Any:
        # A machine that is too busy for so many may refuse some.
        while True:
            try:
                return await call()
            except Overloaded:
                await asyncio.sleep(0.05)

    async def use(user: User) -> None:
        for status in ("accepted", "rejected", "accepted"):
            await result_of(partial(user.save_own, ("surge_il", status)))
            assert await result_of(partial(user.listed, "signed")) == [("surge_il", status)]
            assert (await result_of(partial(user.check, "surge_il")))[0][2] == status

    await asyncio.gather(*(use(harness.user(f"user-{number}")) for number in range(60)))
