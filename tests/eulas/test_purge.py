"""Decisions that expired long ago are deleted, and the log keeps them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from ridehail_servers.chassis.database import Database
from ridehail_servers.eulas.agreements import UserDecisions
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.purge_job import BATCH, PurgeJob
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.crashing import run_purge
from tests.eulas.dumps import LAST_LOGGED, LOG, STATE, rows
from tests.eulas.harness import DAY, MICROSECOND, T0
from tests.support import processes
from tests.support.command_line import ridehail
from tests.support.crash_injector import died
from tests.support.databases import empty_tables, opened_as
from tests.support.processes import ended_well
from tests.support.waiting import LIMIT_S

COUNT = "SELECT count(*) FROM eulas.users"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with opened_as(Database, database_url, "eulas") as database:
        yield database


async def save(database: Database, uid: str, valid_till: datetime) -> None:
    made = Decision("eula", Status.ACCEPTED, 1, valid_till, valid_till - DAY)
    await UserDecisions(database, EulasStore()).save(uid, [made], source="admin")


async def purge(database: Database, before: datetime = T0, batch_size: int = 3) -> int:
    return await PurgeJob(database, EulasStore(), batch_size=batch_size).run(before, lambda _: None)


def fill(database_url: str, expired: int, valid: int = 0) -> None:
    """Stores and logs decisions that expired from 91 days ago on, and valid ones."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            """
            WITH made AS (
                INSERT INTO eulas.users (yandex_uid, eula_id, status, revision, valid_till, updated_at)
                SELECT 'user-' || n, 'eula', 'accepted', 1,
                    now() + CASE WHEN n <= %s THEN - interval '91 days' - n * interval '1 second' ELSE '1 day' END,
                    now() - interval '1000 days'
                FROM generate_series(1, %s) AS n
                RETURNING *
            )
            INSERT INTO eulas.decisions_log (yandex_uid, eula_id, status, revision, valid_till, decided_at, source)
            SELECT yandex_uid, eula_id, status, revision, valid_till, updated_at, 'admin' FROM made
            """,
            (expired, expired + valid),
        )


async def test_decisions_that_expired_before_the_cutoff_are_deleted(database: Database, database_url: str) -> None:
    for number in range(8):
        await save(database, f"old-{number}", T0 - MICROSECOND - (number // 2) * DAY)
    await save(database, "just then", T0)
    await save(database, "valid", T0 + DAY)
    job, reported = PurgeJob(database, EulasStore(), batch_size=3), list[int]()
    assert await job.due(T0) == 8
    assert await job.run(T0, reported.append) == 8
    assert reported == [3, 6, 8]
    assert [row[0] for row in rows(database_url, STATE)] == ["just then", "valid"]
    assert len(rows(database_url, LOG)) == 10
    assert await purge(database) == 0


async def test_the_next_run_deletes_what_another_transaction_had_locked(database: Database, database_url: str) -> None:
    for uid in ("held", "free"):
        await save(database, uid, T0 - DAY)
    async with database.transaction() as other:
        await other.execute("SELECT 1 FROM eulas.users WHERE yandex_uid = 'held' FOR UPDATE")
        async with asyncio.timeout(LIMIT_S):
            assert await purge(database) == 1
    assert [row[0] for row in rows(database_url, STATE)] == ["held"]
    assert await purge(database) == 1


async def test_a_decision_made_again_stays(database: Database, database_url: str) -> None:
    await save(database, "again", T0 - DAY)
    async with database.transaction() as other:
        await EulasStore().save(other, "again", [Decision("eula", Status.REJECTED, 1, T0 + DAY, T0)], "admin")
        assert await purge(database) == 0
    assert await purge(database) == 0
    assert [row[2] for row in rows(database_url, STATE)] == ["rejected"]


async def test_saves_during_purges_are_never_lost(database: Database, database_url: str) -> None:
    chance = random.Random(5)
    decisions = UserDecisions(database, EulasStore())
    kept: dict[str, datetime] = {}

    async def save_some(saver: int) -> None:
        for _ in range(60):
            uid, valid_till = f"user-{saver}-{chance.randrange(5)}", T0 + chance.choice([-DAY, DAY])
            made = Decision("eula", Status.ACCEPTED, 1, valid_till, T0 - 2 * DAY)
            await decisions.save(uid, [made], source="racer")
            kept[uid] = valid_till

    savers = asyncio.gather(*(save_some(saver) for saver in range(3)))
    while not savers.done():
        await asyncio.gather(purge(database), purge(database))
    await savers
    await purge(database)
    assert {row[0] for row in rows(database_url, STATE)} == {uid for uid, till in kept.items() if till > T0}
    assert set(rows(database_url, STATE)) <= set(rows(database_url, LAST_LOGGED))
    assert len(rows(database_url, LOG)) == 180


def purged(database_url: str, *words: str) -> str:
    ended = ridehail("eulas", "purge", "--database-url", database_url, *words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


def test_the_command_deletes_what_expired_ninety_days_ago(database_url: str) -> None:
    fill(database_url, expired=BATCH + 1, valid=10)
    assert purged(database_url, "--dry-run", "--expired-for", "92d") == "purge, dry run: due=0"
    assert purged(database_url, "--dry-run") == f"purge, dry run: due={BATCH + 1}"
    assert rows(database_url, COUNT) == [(BATCH + 11,)]
    assert purged(database_url) == f"purge: deleted={BATCH + 1}"
    assert purged(database_url) == "purge: deleted=0"
    assert rows(database_url, COUNT) == [(10,)]
    assert rows(database_url, "SELECT count(*) FROM eulas.decisions_log") == [(BATCH + 11,)]


def test_the_command_takes_hours(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for hours in (1, 3):
            connection.execute(
                "INSERT INTO eulas.users VALUES ('user', %s, 'accepted', 1, %s)",
                (str(hours), datetime.now(UTC) - timedelta(hours=hours)),
            )
    assert purged(database_url, "--expired-for", "2h") == "purge: deleted=1"


def test_killed_after_a_step_and_run_twice_at_once_it_ends_the_same(database_url: str) -> None:
    expired, batch, before = 40, 3, datetime.now(UTC)
    for step, deleted in ((1, 0), (2, 3), (3, 3), (7, 6)):  # a deletion, its commit, the report of it; and further on
        with psycopg.connect(database_url, autocommit=True) as connection:
            empty_tables(connection)
        fill(database_url, expired=expired, valid=10)
        assert died(processes.start(run_purge, database_url, before, batch, step), database_url)
        assert rows(database_url, COUNT) == [(expired + 10 - deleted,)]
        for process in [processes.start(run_purge, database_url, before, batch) for _ in range(2)]:
            assert ended_well(process)
        assert rows(database_url, COUNT) == [(10,)]
        assert rows(database_url, "SELECT count(*) FROM eulas.decisions_log") == [(expired + 10,)]
