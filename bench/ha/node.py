"""A machine of the cluster: Patroni, the Postgres that it runs, its links to the others, and its watchdog."""

from __future__ import annotations

import json
import os
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

import psutil

from bench.chaos.postgres import HOST, signal_tree
from tests.support.tcp_proxy import Mode, TcpProxy, tcp_proxy

from .daemon import ClusterDaemon, family, kill_all, steady_port
from .settings import NodePorts, patroni_file
from .tools import Patroni
from .watchdog import MachineWatchdog

_ASK_S: Final = 1.0


class ClusterNode:
    """One machine. `clients`, `peers` and `etcd` are its links, by which it is cut off."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        binaries: Path,
        patroni: Patroni,
        user: str | None,
        etcd_ports: Sequence[int],
        has_watchdog: bool,
        stack: ExitStack,
    ) -> None:
        """Prepares it; `stack` ends it and its links."""
        self.name = name
        self.folder = folder
        folder.mkdir(mode=0o755)
        if user is not None:
            shutil.chown(folder, user, user)
        self.port, rest = steady_port(), steady_port()

        def link(port: int) -> TcpProxy:
            return stack.enter_context(tcp_proxy((HOST, port)))

        self.clients = [link(self.port), link(rest)]
        self.peers = [link(self.port), link(rest)]
        self.etcd = [link(port) for port in etcd_ports]
        self._rest = f"http://{HOST}:{rest}"
        self._data = folder / "data"
        self.watchdog = None
        if has_watchdog:
            self.watchdog = MachineWatchdog(folder / "watchdog", self.kill)
            stack.callback(self.watchdog.stop)
        self._file = folder / "patroni.yml"
        ports = NodePorts(self.port, rest, self.peers[0].port, self.peers[1].port)
        etcd = [f"{HOST}:{proxy.port}" for proxy in self.etcd]
        self._file.write_text(patroni_file(name, folder, binaries, ports, etcd, has_watchdog=has_watchdog))
        environment = {"PYTHONPATH": str(patroni.packages), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
        self._environment = environment
        self._patroni = patroni
        self.patroni = ClusterDaemon(patroni.node(self._file), folder / "patroni.log", user, environment)
        stack.callback(self.kill)

    @property
    def links(self) -> list[TcpProxy]:
        return [*self.clients, *self.peers, *self.etcd]

    def postgres(self) -> int | None:
        """Returns the process of Postgres, or None if it does not run."""
        with suppress(OSError, ValueError, IndexError, psutil.NoSuchProcess):
            pid = int((self._data / "postmaster.pid").read_text().splitlines()[0])
            # The file of one that was killed stays, and its number may be another's by now.
            if psutil.Process(pid).cwd() == str(self._data):
                return pid
        return None

    def status(self) -> dict[str, Any]:  # Any: Patroni's JSON
        """Returns what Patroni says of itself, or nothing."""
        try:
            with urllib.request.urlopen(f"{self._rest}/patroni", timeout=_ASK_S) as response:
                return dict(json.load(response))
        except urllib.error.HTTPError as error:
            return dict(json.load(error))
        except (OSError, ValueError):
            return {}

    def start(self) -> None:
        """Starts the machine, if it does not run."""
        if not self.patroni.runs:
            self.patroni.start()

    def kill(self) -> None:
        """Ends all that runs on it, as a power cut does."""
        if self.watchdog is not None:
            self.watchdog.disarm()
        postgres = self.postgres()
        processes = family(postgres) if postgres is not None else []
        if self.patroni.process is not None:
            processes += family(self.patroni.process.pid)
        kill_all(processes)
        if self.patroni.process is not None:
            self.patroni.process.wait(_ASK_S)

    def kill_postgres(self) -> None:
        if (postgres := self.postgres()) is not None:
            kill_all(family(postgres))

    def hang(self, *, postgres_alone: bool = False) -> None:
        """Stops every process where it is, with its connections open."""
        self._signal(signal.SIGSTOP, postgres_alone=postgres_alone)

    def go_on(self) -> None:
        self._signal(signal.SIGCONT, postgres_alone=False)

    def _signal(self, number: signal.Signals, *, postgres_alone: bool) -> None:
        if not postgres_alone:
            self.patroni.signal(number)
        if (postgres := self.postgres()) is not None:
            signal_tree(postgres, number)

    def cut(self, links: Sequence[TcpProxy], mode: Mode = Mode.BLACKHOLE) -> None:
        """Drops all packets on some of its links; mode PASS ends that."""
        for proxy in links:
            proxy.set(mode)

    def patronictl(self, *words: str) -> list[str]:
        """Returns a command for the cluster."""
        return self._patroni.control(self._file, *words)

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], **self._environment}
