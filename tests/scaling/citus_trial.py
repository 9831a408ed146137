"""Runs the statements of all stores on a Citus, and undoes them: `python -m tests.scaling.citus_trial URL`.

The URL is of the coordinator, whose database is migrated, was distributed by deploy/citus/distribute.sql, and is empty.
Prints what takes more than one task, or is refused, and is no exception of docs/scaling.md.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from tests.query_plans.statements import StoreMethod, send, store_methods
from tests.scaling.exceptions import FAN_OUT, TWO_KEYS, reason_for
from tests.scaling.touched import PLANNED, connected

# What sample arguments break in an empty database is a rule of the tables; what a node refuses has no code of its own.
_BROKEN_RULE = " violates "


async def main(url: str) -> None:
    methods = [method for method in store_methods() if not method.name.startswith("_")]
    checked = [it for it in methods if not any(reason_for(it.short_name, one) for one in (FAN_OUT, TWO_KEYS))]
    well = 0
    for method in checked:
        found = await _found(url, method)
        well += not found
        for line in found:
            sys.stdout.write(f"{method}: {line}\n")
    sys.stdout.write(f"{well} of {len(checked)} methods that are no exceptions go to one node\n")


async def _found(url: str, method: StoreMethod) -> list[str]:
    _Cursor.found = []
    async with connected(url, method.schema) as connection:
        connection.cursor_factory = _Cursor
        with suppress(psycopg.Error):
            async with connection.transaction(force_rollback=True):
                await send(connection, method)
    return list(dict.fromkeys(_Cursor.found))


class _Cursor(psycopg.AsyncCursor[TupleRow]):
    """Notes of each statement what is not well, by its distributed plan and by running it."""

    found: list[str] = []

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # as AsyncCursor takes them
        text = query if isinstance(query, str) else query.as_string(self.connection)
        is_planned = text.lstrip().startswith(PLANNED)
        try:
            if is_planned:
                cursor = psycopg.AsyncCursor(self.connection)
                async with self.connection.transaction(force_rollback=True):
                    await cursor.execute(f"EXPLAIN (FORMAT JSON) {text}".encode(), params, prepare=False)
                    most = max(_tasks((await cursor.fetchall())[0][0]), default=0)
                if most > 1:
                    self.found.append(f"{most} tasks")
            return await super().execute(query, params, **{**options, "prepare": False})
        except psycopg.Error as error:
            if is_planned and _BROKEN_RULE not in str(error):
                self.found.append(f"refused: {str(error).splitlines()[0]}")
            raise


def _tasks(plan: Any) -> Iterator[int]:  # JSON, as EXPLAIN prints it
    if isinstance(plan, dict):
        yield plan.get("Task Count", 0)
        plan = plan.values()
    if not isinstance(plan, str | int | float | None):
        for child in plan:
            yield from _tasks(child)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
