"""How many rows a query has, by counting them or by the planner's estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum, auto

from psycopg import sql

from .database import Connection


class RowCount(Enum):
    """How rows are counted."""

    EXACT = auto()
    """Reads all of them."""
    ESTIMATED = auto()
    """Reads none: from the statistics of the tables, which are some percent off, or more after large changes."""


async def count_rows(
    connection: Connection,
    rows: sql.SQL | sql.Composed,
    parameters: Sequence[object] | Mapping[str, object],
    how: RowCount,
) -> int:
    """Returns the number of rows of a query."""
    if how is RowCount.ESTIMATED:
        cursor = await connection.execute(sql.SQL("EXPLAIN (FORMAT JSON) {}").format(rows), parameters)
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0][0]["Plan"]["Plan Rows"])
    cursor = await connection.execute(sql.SQL("SELECT count(*) FROM ({}) AS counted").format(rows), parameters)
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
