"""Databases of a test's own, beside the one that every test gets."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from ridehail_servers import suite
from ridehail_servers.chassis import migrations
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.settings import PoolSettings

_FOLDERS = {it.schema: it.migrations_folder for it in suite.SERVICES.values() if it.schema is not None}
SCHEMAS = tuple(_FOLDERS)


def migrations_of(schema: str) -> Path:
    """Returns the folder of a schema's migrations."""
    return _FOLDERS[schema]


@contextmanager
def cloned_database(server_url: str, template: str) -> Iterator[str]:
    """Makes a copy of a database, for the length of the block."""
    name = f"test_{uuid.uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {name} TEMPLATE {template}").format(**names))
    yield conninfo.make_conninfo(server_url, dbname=name)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """Makes a database without any migration, for the length of the block."""
    with cloned_database(server_url, "template0") as url:
        yield url


def filled_tables(connection: psycopg.Connection) -> list[sql.Identifier]:
    """Returns the services' tables that have rows.

    Args:
        connection: As the owner of the database, in autocommit mode.
    """
    tables = connection.execute(
        "SELECT schemaname, tablename FROM pg_tables"
        " WHERE schemaname = ANY(%s) AND NOT starts_with(tablename, '_yoyo') AND NOT starts_with(tablename, 'yoyo')",
        (list(SCHEMAS),),
    ).fetchall()
    names = [sql.Identifier(*table) for table in tables]
    filled = sql.SQL(" UNION ALL ").join(
        sql.SQL("SELECT {} WHERE EXISTS (SELECT FROM {})").format(number, name) for number, name in enumerate(names)
    )
    return [names[number] for (number,) in connection.execute(filled).fetchall()]


def empty_tables(connection: psycopg.Connection) -> None:
    """Removes all rows from the services' tables, and has their sequences begin again.

    Args:
        connection: As the owner of the database, in autocommit mode.
    """
    if to_empty := filled_tables(connection):
        with connection.transaction():
            # Some tables refuse every deletion by a trigger.
            connection.execute("SET LOCAL session_replication_role = replica")
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(sql.SQL(", ").join(to_empty)))


@asynccontextmanager
async def opened(url: str, **settings: float) -> AsyncIterator[Database]:
    """Opens the database as toll-roads does, for the length of the block."""
    pool = PoolSettings.model_validate(settings)
    database = Database(url, schema="toll_roads", settings=pool, application="toll-roads")
    await database.open()
    try:
        yield database
    finally:
        await database.close()


class OwnPostgres:
    """A Postgres that a test may stop: nobody else uses it. It has the migrations of some schemas.

    Another process looks after it: starting a program means to fork, which a process that is busy with gRPC may not
    survive.
    """

    def __init__(self, folder: Path, schemas: Sequence[str] = SCHEMAS) -> None:
        self._keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.support.postgres_process", str(folder)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._answer()
        for schema in schemas:
            migrations.migrate(self.url, schema, migrations_of(schema))

    def start(self) -> None:
        """Starts the server; returns once it answers."""
        self._tell("start")

    def stop(self) -> None:
        """Stops the server; returns once it is gone."""
        self._tell("stop")

    def close(self) -> None:
        """Stops the server for good."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait(30)

    def _tell(self, command: str) -> None:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(f"{command}\n")
        self._keeper.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._keeper.stdout is not None
        answer = self._keeper.stdout.readline().strip()
        assert answer, "the keeper of Postgres is gone"
        return answer
