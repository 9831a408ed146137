"""A program of the cluster that is started, hung, killed and started again."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from bench.chaos.postgres import HOST, signal_tree

_STOP_S: Final = 30
# Below those that Linux gives to outgoing connections.
_STEADY: Final = (20_000, 32_000)


class ClusterDaemon:
    """One process with its children, as another user where we are root."""

    def __init__(
        self, words: Sequence[str], log: Path, user: str | None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._words = words
        self._log = log
        self._user = user
        self._environment = environment or {}
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Starts it, without waiting for it to be of use."""
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                self._words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                user=self._user,
                group=self._user,
                extra_groups=None if self._user is None else [],
                cwd="/",
                env={"PATH": os.environ["PATH"], **self._environment},
            )

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to it and its children."""
        if self.process is not None:
            signal_tree(self.process.pid, number)

    def kill(self) -> None:
        """Kills it alone: its children live on."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(_STOP_S)

    def kill_tree(self) -> None:
        if self.process is not None:
            kill_all(family(self.process.pid))
            self.process.wait(_STOP_S)


def steady_port() -> int:
    """Returns a free port that no outgoing connection takes while its owner is down."""
    while True:
        port = random.randrange(*_STEADY)  # spreads the choices of runs beside one another
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port


def family(pid: int) -> list[psutil.Process]:
    """Returns a process and its descendants, as far as they live."""
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def kill_all(processes: Sequence[psutil.Process]) -> None:
    """Kills processes; returns once they are gone."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(processes, timeout=_STOP_S)
