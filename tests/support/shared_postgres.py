"""One Postgres for all processes of a test run."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest

from ridehail_servers import suite
from ridehail_servers.chassis import migrations
from ridehail_servers.runtime.postgres import EmbeddedPostgres

TEMPLATE = "template_of_tests"
# Its databases need not survive a crash of the machine, nor grow old.
_SETTINGS = """
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
autovacuum = off
max_connections = 600
shared_buffers = 128MB
"""


class SharedPostgres:
    """A server with a template database that has every migration, started by the first process that needs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._url_file = folder / "url"

    def url(self) -> str:
        """Returns the superuser's URL, once the server runs."""
        with self._locked():
            if not self._url_file.exists():
                self._url_file.write_text(self._started())
            return self._url_file.read_text()

    def stop(self) -> None:
        if self._url_file.exists():
            server = self._server()
            server.start()  # takes it over from the process that started it
            server.stop()

    def process(self) -> psutil.Process | None:
        """Returns the server's first process, or None if it does not run."""
        try:
            return psutil.Process(int((self.folder / "postgres" / "postmaster.pid").read_text().split()[0]))
        except (OSError, IndexError, ValueError, psutil.NoSuchProcess):
            return None

    def _server(self) -> EmbeddedPostgres:
        return EmbeddedPostgres(self.folder / "postgres")

    def _started(self) -> str:
        server = self._server()
        with (self.folder / "postgres" / "postgresql.auto.conf").open("a") as file:
            file.write(_SETTINGS)
        url = server.start()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {TEMPLATE}")
        template = psycopg.conninfo.make_conninfo(url, dbname=TEMPLATE)
        for definition in suite.SERVICES.values():
            if definition.schema is not None:
                migrations.migrate(template, definition.schema, definition.migrations_folder)
        return url

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


SHARED = pytest.StashKey[SharedPostgres]()
"""Where the run's configuration keeps it."""
