"""Which partitions each statement of a store touches, as it is run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.settings import PoolSettings
from tests.query_plans.plans import Node
from tests.query_plans.statements import StoreMethod, send

PLANNED = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
# As with large tables: what a join looks up, it looks up row by row.
_SETTINGS = "SET enable_hashjoin = off; SET enable_mergejoin = off; SET enable_seqscan = off; SET enable_material = off"


@dataclass(slots=True)
class Touched:
    """What a statement touches of the distributed tables.

    Attributes:
        read: Table -> its partitions that were searched or changed; empty: none, because nothing led there.
        written: Tables that rows were inserted into; each row goes to one partition.
    """

    read: dict[str, set[str]] = field(default_factory=dict)
    written: set[str] = field(default_factory=set)

    def add(self, other: Touched) -> None:
        for table, partitions in other.read.items():
            self.read.setdefault(table, set()).update(partitions)
        self.written |= other.written

    @property
    def most(self) -> int:
        """How many partitions of one table it touches."""
        return max((len(partitions) for partitions in self.read.values()), default=0)

    @property
    def tables(self) -> set[str]:
        return {*self.read, *self.written}


async def touched_by(connection: Connection, method: StoreMethod, partitions: Mapping[str, str]) -> dict[str, Touched]:
    """Runs a method with sample arguments, and undoes it; returns what each of its statements touches.

    Args:
        connection: Of `connected`, to the method's schema.
        method: The method.
        partitions: Partition -> its table.
    """
    cursor_type = _cursor_type(partitions)
    connection.cursor_factory = cursor_type
    async with connection.transaction(force_rollback=True):
        # Of the row that is there already: the statement was explained before.
        with suppress(psycopg.errors.UniqueViolation):
            await send(connection, method)
    return cursor_type.seen


@asynccontextmanager
async def connected(url: str, schema: str) -> AsyncIterator[Connection]:
    """Connects as a service does; rows may refer to what there is not."""
    database = Database(url, schema=schema, settings=PoolSettings(), application=schema)
    async with await database.connect() as connection:
        await connection.execute(_SETTINGS)
        await connection.execute("SET session_replication_role = replica")
        yield connection


class _ExplainingCursor(psycopg.AsyncCursor[TupleRow]):
    """Explains every statement as it runs, then runs it."""

    partitions: Mapping[str, str]
    seen: dict[str, Touched]

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # as AsyncCursor takes them
        text = query if isinstance(query, str) else query.as_string(self.connection)
        if text.lstrip().startswith(PLANNED):
            self.seen.setdefault(text, Touched()).add(await self._explained(text, params))
        return await super().execute(query, params, **{**options, "prepare": False})

    async def _explained(self, text: str, params: Any) -> Touched:
        cursor = psycopg.AsyncCursor(self.connection)
        try:
            async with self.connection.transaction(force_rollback=True):
                await cursor.execute(_explaining(text, "ANALYZE, TIMING OFF, BUFFERS OFF, "), params, prepare=False)
                ((printed,),) = await cursor.fetchall()
        except psycopg.errors.UniqueViolation:
            await cursor.execute(_explaining(text, ""), params, prepare=False)
            ((printed,),) = await cursor.fetchall()
        touched = Touched()
        for node in _nodes(printed[0]["Plan"]):
            table = f"{node.get('Schema')}.{node.get('Relation Name')}"
            if table in self.partitions:
                reached = touched.read.setdefault(self.partitions[table], set())
                if node.get("Actual Loops", 1):
                    reached.add(table)
            elif node["Node Type"] == "ModifyTable" and table in self.partitions.values():
                touched.written.add(table)
        return touched


def _cursor_type(of: Mapping[str, str]) -> type[_ExplainingCursor]:
    class Cursor(_ExplainingCursor):
        partitions = of
        seen: dict[str, Touched] = {}

    return Cursor


def _explaining(text: str, options: str) -> bytes:
    return f"EXPLAIN ({options}VERBOSE, FORMAT JSON) {text}".encode()


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)
