"""The plans of all statements, for small and for large tables."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.settings import PoolSettings
from tests.query_plans.filled_tables import grow
from tests.query_plans.plans import Node
from tests.query_plans.statements import PreparingCursor, StoreMethod, send, store_methods

_PLANNED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")


@dataclass(slots=True)
class Statement:
    """A statement as the server has prepared it; `plans` are those for small and large tables."""

    name: str
    text: str
    parameters: int
    plans: dict[str, Node] = field(default_factory=dict)


async def explained(url: str) -> Mapping[StoreMethod, Sequence[Statement]]:
    """Sends every statement to a filled database, and explains each: before and after `grow`.

    The plans are the generic ones, which Postgres may take for a prepared statement whatever its parameters are.
    """
    async with AsyncExitStack() as stack:
        connections = {
            schema: await stack.enter_async_context(_connected(url, schema))
            for schema in {method.schema for method in store_methods()}
        }
        found = {method: await _prepared(connections[method.schema], method) for method in store_methods()}
        for size in ("small", "large"):
            if size == "large":
                with psycopg.connect(url, autocommit=True) as owner:
                    grow(owner)
            for connection in connections.values():
                # A table of a few rows is read whole, whatever indexes it has.
                await _run(connection, sql.SQL("SET enable_seqscan = {}").format(sql.Literal(size == "large")))
                await _run(connection, sql.SQL("DISCARD PLANS"))
            for method, statements in found.items():
                for statement in statements:
                    statement.plans[size] = await _plan(connections[method.schema], statement)
    return found


@asynccontextmanager
async def _connected(url: str, schema: str) -> AsyncIterator[Connection]:
    """Connects as a service does; rows may refer to what there is not."""
    database = Database(url, schema=schema, settings=PoolSettings(), application=schema)
    async with await database.connect() as connection:
        connection.prepared_max = None
        connection.cursor_factory = PreparingCursor
        await _run(connection, sql.SQL("SET session_replication_role = replica"))
        await _run(connection, sql.SQL("SET plan_cache_mode = force_generic_plan"))
        yield connection


async def _prepared(connection: Connection, method: StoreMethod) -> list[Statement]:
    """Calls a method; returns those of its statements that no other has sent before."""
    known = {statement.name for statement in await _all_prepared(connection)}
    await send(connection, method)
    return [
        statement
        for statement in await _all_prepared(connection)
        if statement.name not in known and statement.text.lstrip().startswith(_PLANNED)
    ]


async def _all_prepared(connection: Connection) -> list[Statement]:
    rows = await _run(
        connection, sql.SQL("SELECT name, statement, cardinality(parameter_types) FROM pg_prepared_statements")
    )
    return [Statement(*row) for row in rows]


async def _plan(connection: Connection, statement: Statement) -> Node:
    parameters = sql.SQL("({})").format(sql.SQL(", ").join([sql.NULL] * statement.parameters))
    explain = sql.SQL("EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE {}{}").format(
        sql.Identifier(statement.name), parameters if statement.parameters else sql.SQL("")
    )
    ((printed,),) = await _run(connection, explain)
    plan: Node = (json.loads(printed) if isinstance(printed, str) else printed)[0]["Plan"]
    return plan


async def _run(connection: Connection, statement: sql.Composable) -> list[Any]:
    """Runs a statement that is no service's, so it is not prepared."""
    cursor = psycopg.AsyncCursor(connection)
    await cursor.execute(statement.as_bytes(connection), prepare=False)
    return await cursor.fetchall() if cursor.description else []
