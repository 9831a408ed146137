"""Databases beside the one that every test gets."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg
from psycopg import conninfo, sql

from ridehail_servers import suite
from ridehail_servers.chassis import migrations
from ridehail_servers.chassis.database import Connection, Database, Result
from ridehail_servers.chassis.settings import PoolSettings

AnyDatabase = TypeVar("AnyDatabase", bound=Database)

_FOLDERS = {it.schema: it.migrations_folder for it in suite.SERVICES.values() if it.schema is not None}
SCHEMAS = tuple(_FOLDERS)


def migrations_of(schema: str) -> Path:
    return _FOLDERS[schema]


@contextmanager
def cloned_database(server_url: str, template: str) -> Iterator[str]:
    """Copies a database for the length of the block."""
    name = f"test_{uuid.uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    yield conninfo.make_conninfo(server_url, dbname=name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """Creates a database without any migration for the length of the block."""
    with cloned_database(server_url, "template0") as url:
        yield url


# A table that was written to has pages until it is truncated. To ask each whether it has rows takes ten times as long.
_WRITTEN = """
    SELECT nspname, relname FROM pg_class AS tables JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE relkind = 'r' AND nspname = ANY(%s) AND pg_relation_size(tables.oid) > 0
        AND NOT starts_with(relname, '_yoyo') AND NOT starts_with(relname, 'yoyo')
"""


def written_tables(connection: psycopg.Connection) -> list[sql.Identifier]:
    """Returns the services' tables that something was written to since they were empty, whether it is there or not."""
    return [sql.Identifier(*table) for table in connection.execute(_WRITTEN, (list(SCHEMAS),)).fetchall()]


def empty_tables(connection: psycopg.Connection) -> None:
    """Removes all rows and restarts sequences; the connection is the owner's, in autocommit mode."""
    if written := written_tables(connection):
        with connection.transaction():
            # Some tables refuse every deletion by a trigger.
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(sql.SQL(", ").join(written)))


class CountingDatabase(Database):
    """Counts its reads."""

    reads = 0

    async def read(self, query: Callable[[Connection], Awaitable[Result]]) -> Result:
        self.reads += 1
        return await super().read(query)


@asynccontextmanager
async def opened_as(
    kind: type[AnyDatabase], url: str, schema: str = "toll_roads", settings: PoolSettings | None = None
) -> AsyncIterator[AnyDatabase]:
    """Opens the database as a service does, for the length of the block."""
    database = kind(url, schema=schema, settings=settings or PoolSettings(), application=schema.replace("_", "-"))
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def opened(url: str, **settings: float) -> AsyncIterator[Database]:
    """Opens the database as toll-roads does, for the length of the block."""
    async with opened_as(Database, url, settings=PoolSettings.model_validate(settings)) as database:
        yield database


class OwnPostgres:
    """A Postgres that a test may stop, with the migrations of some schemas.

    Another process runs it: a process that is busy with gRPC may not survive the fork that starts a program.
    """

    def __init__(self, folder: Path, schemas: Sequence[str] = SCHEMAS) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.postgres_process", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._read()
        for schema in schemas:
            migrations.migrate(self.url, schema, migrations_of(schema))

    def start(self) -> None:
        self._send("start")

    def stop(self) -> None:
        self._send("stop")

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _send(self, command: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{command}\n")
        self._process.stdin.flush()
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, "the process of Postgres is gone"
        return line
