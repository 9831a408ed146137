"""Whether a schema has what this version of a service needs: every migration that ships with it.

A schema may be newer, as it is in an upgrade before the processes are: what a migration removes, no version that is
still served uses.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psycopg

from .errors import Explained

# yoyo's record, in each service's schema.
_APPLIED = "SELECT migration_id FROM _yoyo_migration"
_ROLLBACK = ".rollback"


class SchemaOutdated(Explained):
    """The schema lacks migrations."""

    def __init__(self, schema: str, missing: list[str]) -> None:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        super().__init__(f"schema {schema} lacks migration {missing[0]}{more}: run `ridehail migrate`")


def shipped_migrations(folder: Path) -> frozenset[str]:
    """Returns the ids of the migrations in a folder."""
    files = (file.stem for file in folder.iterdir() if file.suffix in {".sql", ".py"})
    return frozenset(name for name in files if not name.endswith(_ROLLBACK))


async def applied_migrations(connection: psycopg.AsyncConnection[Any]) -> frozenset[str]:  # of any kind of rows
    """Returns the ids of the migrations of the schema on the connection's path; none if it has never been migrated."""
    try:
        found = await connection.execute(_APPLIED, prepare=False)
    except psycopg.errors.UndefinedTable:
        return frozenset()
    return frozenset(row[0] for row in await found.fetchall())


async def check_schema(
    connection: psycopg.AsyncConnection[Any],  # of any kind of rows
    schema: str,
    needed: frozenset[str],
) -> None:
    """Raises `SchemaOutdated` if the schema lacks one of the needed migrations."""
    if missing := sorted(needed - await applied_migrations(connection)):
        raise SchemaOutdated(schema, missing)
