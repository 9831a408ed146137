"""What the background tasks do to old decisions, and to entries of the log that name accounts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.eulas.log_store import LogStore
from ridehail_servers.eulas.tasks import PseudonymizeLog, PurgeDecisions
from tests.support.databases import opened_as

ENTRIES, USERS = 50, 7
_COLUMNS = "decision_id, yandex_uid, eula_id, status::text, revision, valid_till, decided_at, source"


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """With entries of an earlier release, and one user who has a pseudonym already."""
    async with opened_as(Database, database_url, "eulas") as database:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO eulas.user_keys (yandex_uid) VALUES ('user-3')")
            await connection.execute(
                """
                INSERT INTO eulas.decisions_log (yandex_uid, eula_id, status, revision, valid_till, decided_at, source)
                SELECT 'user-' || n %% %s, 'eula-' || n, 'accepted', 1, now(), now(), 'admin'
                FROM generate_series(1, %s) AS n
                """,
                (USERS, ENTRIES),
            )
        yield database


async def entries(database: Database, table: str) -> list[tuple[object, ...]]:
    async with database.connection() as connection:
        cursor = await connection.execute(f"SELECT {_COLUMNS} FROM eulas.{table} ORDER BY decision_id".encode())
        return await cursor.fetchall()


async def test_entries_get_the_pseudonyms_of_their_users_and_nothing_else_changes(database: Database) -> None:
    before = await entries(database, "decisions")
    # Two workers, by batches.
    await asyncio.gather(*(PseudonymizeLog(database, LogStore(), batch=6).run(0) for _ in range(2)))
    await PseudonymizeLog(database, LogStore(), batch=6).run(0)

    assert await entries(database, "decisions") == before
    assert {row[1] for row in await entries(database, "decisions_log")} == {None}
    async with database.connection() as connection:
        cursor = await connection.execute("SELECT count(DISTINCT pseudonym) FROM eulas.decisions_log")
        assert await cursor.fetchone() == (USERS,)


@pytest.mark.parametrize(
    ("kept_days", "left"), [(90, ["fresh", "late"]), (10, ["fresh"]), (0, ["fresh", "late", "old"])]
)
async def test_decisions_that_have_long_expired_are_purged_by_schedule(
    database: Database, kept_days: int, left: list[str]
) -> None:
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO eulas.users (yandex_uid, eula_id, status, revision, valid_till)
            VALUES ('u', 'fresh', 'accepted', 1, now()), ('u', 'late', 'accepted', 1, now() - interval '50 days'),
                ('u', 'old', 'accepted', 1, now() - interval '91 days')
            """
        )
        await PurgeDecisions(database, lambda: kept_days, system_clock).run(0)
        cursor = await connection.execute("SELECT eula_id FROM eulas.users ORDER BY 1")
        assert [row[0] for row in await cursor.fetchall()] == left
