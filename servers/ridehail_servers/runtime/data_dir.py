"""The data directory of `ridehail up`: its lock, the processes of a killed run, and a development suite's keys.

postgres/   the database          keys/     key rings, gateway.key, order-state-tags.key
logs/       one file a process    run/      what is running now
archive/    what services archive tls/      certificates of `up --tls`
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ridehail_servers.chassis.errors import Explained

_STOP_S = 10.0
_OWNER_ONLY = 0o600


class DataDirInUse(Explained):
    """Another `ridehail up` runs on the same data directory."""


class DataDir:
    """The paths in a data directory, and what happens to them around a run. The constructor touches nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.postgres = self.path / "postgres"
        self.keys = self.path / "keys"
        self.logs = self.path / "logs"
        self.tls = self.path / "tls"
        self.archive = self.path / "archive"
        self.run = self.path / "run"
        self.metrics = self.run / "metrics"
        self._processes = self.run / "processes.json"

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Locks the directory for the length of the block, and first stops what a killed run left behind."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.logs, self.run, self.archive):
            folder.mkdir(exist_ok=True)
            folder.chmod(0o700)
        with (self.path / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise DataDirInUse(f"another `ridehail up` runs on {self.path}") from error
            self._stop_leftovers()
            self._clear_metrics()
            yield

    def ensure_keys(self, sources: Iterable[str]) -> None:
        """Creates missing development keys of all ticket sources: two of each, so that every run exercises rotation."""
        from ridehail_servers import suite  # noqa: PLC0415 - jobs on a database do without

        from .key_files import create_missing  # noqa: PLC0415 - it writes by what is below

        create_missing(self.keys, sources, suite.secret_files())

    def remember_process(self, pid: int) -> None:
        """Records a started process, so that the next run can stop it if this one is killed."""
        try:
            started = psutil.Process(pid).create_time()
        except psutil.NoSuchProcess:
            return
        self._write_processes([*self._read_processes(), (pid, started)])

    def _stop_leftovers(self) -> None:
        leftovers = []
        for pid, started in self._read_processes():
            try:
                process = psutil.Process(pid)
                # A process of the same id with another start time is a stranger.
                if process.create_time() == started:
                    process.terminate()
                    leftovers.append(process)
            except psutil.NoSuchProcess:
                continue
        _, alive = psutil.wait_procs(leftovers, timeout=_STOP_S)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=_STOP_S)
        self._write_processes([])

    def _clear_metrics(self) -> None:
        self.metrics.mkdir(exist_ok=True)
        for file in self.metrics.glob("*.db"):
            file.unlink()

    def _read_processes(self) -> list[tuple[int, float]]:
        try:
            return [(int(pid), float(started)) for pid, started in json.loads(self._processes.read_text())]
        except (OSError, ValueError, TypeError):
            return []

    def _write_processes(self, processes: list[tuple[int, float]]) -> None:
        self._processes.write_text(json.dumps(processes))


def write_secret(file: Path, text: str) -> None:
    """Writes a file that only its owner can read, even if it existed with wider rights."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT, _OWNER_ONLY)
    with os.fdopen(descriptor, "w") as opened:
        # Before the first byte: an old file keeps its rights when it is opened.
        os.fchmod(descriptor, _OWNER_ONLY)
        opened.truncate()
        opened.write(text)
