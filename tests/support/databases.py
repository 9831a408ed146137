"""Databases of a test's own, beside the one that every test gets."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import conninfo, sql
from ridehail_servers import resources, suite
from ridehail_servers.chassis import migrations
from ridehail_servers.runtime.postgres import EmbeddedPostgres

SCHEMAS = tuple(definition.schema for definition in suite.SERVICES.values() if definition.schema is not None)


def migrations_of(schema: str) -> Path:
    """Returns the folder of a schema's migrations."""
    return resources.folder("migrations") / schema


@contextmanager
def empty_database(server_url: str) -> Iterator[str]:
    """Makes a database without any migration, for the length of the block."""
    name = f"empty_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield conninfo.make_conninfo(server_url, dbname=name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


class OwnPostgres:
    """A Postgres that a test may stop: nobody else uses it. It has every migration."""

    def __init__(self, folder: Path) -> None:
        self._server = EmbeddedPostgres(folder)
        self.url = self._server.start()
        for schema in SCHEMAS:
            migrations.migrate(self.url, schema, migrations_of(schema))

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
