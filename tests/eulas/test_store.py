"""The cost of the calls: one query each, by the primary key, however many users there are."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import psycopg
import pytest

from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.eulas.agreements import UserDecisions
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.store import EulasStore
from tests.eulas.harness import DAY, T0, Harness
from tests.eulas.users import User
from tests.support.databases import CountingDatabase, opened_as

USERS = 20_000


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[CountingDatabase]:
    async with opened_as(CountingDatabase, database_url, "eulas") as database:
        yield database


async def put_users(database: Database) -> None:
    async with database.connection() as connection:
        await connection.execute(
            """
            INSERT INTO eulas.users (yandex_uid, eula_id, status, revision, valid_till)
            SELECT 'user-' || n, 'eula-' || eula, 'accepted', 1, now() + interval '1 day'
            FROM generate_series(1, %s) n CROSS JOIN generate_series(1, 5) eula
            """,
            (USERS,),
        )
        await connection.execute("ANALYZE eulas.users")


async def test_many_users_at_once_share_a_few_queries(database: CountingDatabase) -> None:
    decisions = UserDecisions(database, EulasStore())
    made = Decision("eula", Status.ACCEPTED, 1, T0 + DAY, T0)
    for number in range(50):
        await decisions.save(f"user-{number}", [made], source="admin")
    found = await asyncio.gather(*(decisions.of_user(f"user-{number}") for number in range(100)))
    assert found == [[made]] * 50 + [[]] * 50
    assert database.reads <= 4


@pytest.mark.parametrize("call", ["list", "check", "check types"])
async def test_a_single_read_is_one_query(harness: Harness, user: User, call: str) -> None:
    await user.save(("surge_il", "accepted"))
    before = await statements(harness)
    for _ in range(10):
        if call == "list":
            await user.shown("all", "haifa")
        elif call == "check":
            await user.check("surge_il", "sdc", "nothing")
        else:
            await user.check_types("surge", "sdc")
    assert await statements(harness) - before == 10


async def statements(harness: Harness) -> int:
    """Returns how often users' decisions have been read."""
    database = harness.suite.database("eulas")
    async with AsyncExitStack() as stack:
        # Every connection of the pool passes on what it has counted, at the end of its next transaction.
        for connection in [await stack.enter_async_context(database.connection()) for _ in range(8)]:
            await connection.execute("SELECT pg_stat_force_next_flush()")
            await connection.execute("SELECT 1")
    rows = await harness.suite.rows(
        "SELECT (seq_scan + idx_scan)::int FROM pg_stat_user_tables WHERE relid = 'eulas.users'::regclass"
    )
    assert isinstance(rows[0][0], int)
    return rows[0][0]


class Explained:
    """A connection that explains its statements, and collects the nodes of their plans."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.nodes: list[dict[str, Any]] = []

    async def execute(self, query: str, parameters: Any) -> Any:
        explain = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query.encode()
        cursor = await self._connection.execute(explain, parameters)
        row = await cursor.fetchone()
        assert row is not None
        self._note(json.loads(row[0])[0]["Plan"] if isinstance(row[0], str) else row[0][0]["Plan"])
        return await self._connection.execute("SELECT 1 WHERE false")

    def _note(self, plan: dict[str, Any]) -> None:
        self.nodes.append(plan)
        for child in plan.get("Plans", ()):
            self._note(child)


@pytest.mark.parametrize("number", [1, 100])
async def test_decisions_are_found_by_the_primary_key(database: Database, number: int) -> None:
    await put_users(database)
    uids = [f"user-{n * 7 % USERS + 1}" for n in range(number)]
    async with database.connection() as connection:
        assert len(await EulasStore().decisions_of(connection, uids)) == number
        explained = Explained(connection)
        await EulasStore().decisions_of(explained, uids)  # type: ignore[arg-type]  # as much of a connection as is used
    assert "Seq Scan" not in {node["Node Type"] for node in explained.nodes}
    assert {node["Index Name"] for node in explained.nodes if "Index Name" in node} == {"users_pkey"}
    assert explained.nodes[0]["Actual Rows"] == number * 5
    assert explained.nodes[0]["Shared Hit Blocks"] + explained.nodes[0]["Shared Read Blocks"] <= number * 12


async def test_a_save_reads_no_table_whole(database: Database) -> None:
    await put_users(database)
    made = [Decision(f"eula-{number}", Status.REJECTED, 1, T0 + DAY, T0) for number in range(100)]
    async with database.connection() as connection:
        explained = Explained(connection)
        await EulasStore().save(explained, "user-7", made, "admin")  # type: ignore[arg-type]  # as above
    assert "Seq Scan" not in {node["Node Type"] for node in explained.nodes}
    assert {"users_pkey"} == {index for node in explained.nodes for index in node.get("Conflict Arbiter Indexes", ())}


async def test_an_invalid_row_cannot_be_stored(database: Database) -> None:
    async with database.connection() as connection:
        with pytest.raises(psycopg.errors.InvalidTextRepresentation):
            await connection.execute(
                "INSERT INTO eulas.users (yandex_uid, eula_id, status, revision, valid_till) "
                "VALUES ('uid', 'eula', 'unknown', 1, now())"
            )
