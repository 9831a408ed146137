"""The cost of the calls: one query each, or fewer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import psycopg
import pytest

from ridehail.eulas.v1 import eulas_pb2
from ridehail_servers.chassis.database import Database
from ridehail_servers.eulas.agreements import UserDecisions
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.harness import DAY, T0, Harness
from tests.eulas.users import User
from tests.support.databases import CountingDatabase, opened_as
from tests.support.read_counters import counted


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[CountingDatabase]:
    async with opened_as(CountingDatabase, database_url, "eulas") as database:
        yield database


async def test_many_users_at_once_share_a_few_queries(database: CountingDatabase) -> None:
    decisions = UserDecisions(database, EulasStore())
    made = Decision("eula", Status.ACCEPTED, 1, T0 + DAY, T0)
    for number in range(50):
        await decisions.save(f"user-{number}", [made], source="admin")
    found = await asyncio.gather(*(decisions.of_user(f"user-{number}") for number in range(100)))
    assert found == [[made]] * 50 + [[]] * 50
    assert database.reads <= 4


@pytest.mark.parametrize("call", ["list", "check", "check types", "batch"])
async def test_a_call_is_one_query(harness: Harness, user: User, call: str) -> None:
    await user.save(("surge_il", "accepted"))
    before = await statements(harness)
    for _ in range(10):
        if call == "list":
            await user.shown("all", "haifa")
        elif call == "check":
            await user.check("surge_il", "sdc", "nothing")
        elif call == "batch":
            uids = [user.uid, "another", user.uid, "third"]
            await user.check_many(*(eulas_pb2.EulaCheck(yandex_uid=uid, eula_ids=["surge_il"]) for uid in uids))
        else:
            await user.check_types("surge", "sdc")
    assert await statements(harness) - before == 10


async def statements(harness: Harness) -> int:
    """Returns how often users' decisions have been read."""
    query = "SELECT (seq_scan + idx_scan)::int FROM pg_stat_user_tables WHERE relid = 'eulas.users'::regclass"
    (number,) = await counted(harness.suite.database_url, query)
    assert isinstance(number, int)
    return number


async def test_an_invalid_row_cannot_be_stored(database: Database) -> None:
    async with database.connection() as connection:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            await connection.execute(
                "INSERT INTO eulas.users (yandex_uid, eula_id, status, revision, valid_till) "
                "VALUES ('uid', 'eula', 'unknown', 1, now())"
            )
