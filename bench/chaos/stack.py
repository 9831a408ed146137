"""Servers of the suite as `ridehail serve` and `ridehail worker` run them, each database behind a proxy of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from bench.servers import NotStarted
from ridehail_servers import resources, suite
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.runtime.data_dir import DataDir
from ridehail_servers.runtime.ports import free_port
from tests.support.tcp_proxy import postgres_target, tcp_proxy, through

from .calls import WORKLOADS
from .postgres import HOST, Postgres

RIDEHAIL = str(Path(sys.executable).with_name("ridehail"))
START_S = 60.0
STOP_S = 60.0
# Serves what is called but not part of a case.
_NOBODY = f"{HOST}:9"


def variable(service: str) -> str:
    """Returns the environment variable that names a service's database."""
    return f"RIDEHAIL_DATABASE_URL_{service.upper().replace('-', '_')}"


class RidehailProcess:
    """A `ridehail` command that can be stopped, killed and started again."""

    def __init__(self, words: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        self._words = words
        self.log = log
        self._environment = environment or {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *, within: float = START_S) -> float:
        """Starts it and waits for its ready line; returns the seconds that this took.

        Raises:
            NotStarted: It ended, or took longer than `within`.
        """
        began = time.monotonic()
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [RIDEHAIL, *self._words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._environment},
            )
        while not self.ready:
            if self.process.poll() is not None or time.monotonic() - began > within:
                self.kill()
                raise NotStarted(f"{' '.join(self._words[:2])}: {self._last_words()}")
            time.sleep(0.05)
        return time.monotonic() - began

    def _last_words(self) -> str:
        logs = [self.log, *self.log.parent.rglob("logs/*.log")]
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')[-800:]}" for log in logs)

    @property
    def ready(self) -> dict[str, str]:
        """The addresses of the ready line, or empty if there is none yet."""
        for line in self.log.read_text(errors="replace").splitlines():
            if line.startswith("ready "):
                return dict(word.split("=", 1) for word in line.split()[1:] if "=" in word)
        return {}

    @property
    def address(self) -> str:
        """The address of gRPC."""
        return self.ready["grpc"]

    def processes(self) -> list[psutil.Process]:
        """Returns it and its descendants."""
        assert self.process is not None
        try:
            parent = psutil.Process(self.process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def stop(self) -> int:
        """Ends it as a service manager would; returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def kill(self) -> None:
        """Kills it and its children."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self.process is not None:
            self.process.wait(STOP_S)


class ServerFolder:
    """A folder with keys and configuration, in which servers are started."""

    def __init__(self, folder: Path) -> None:
        """Creates keys and configuration; other users may pass through the folder, since Postgres may run as one."""
        self.folder = folder
        self.config = folder / "config"
        shutil.copytree(resources.folder("config"), self.config)
        DataDir(folder / "data").ensure_keys(suite.ticket_sources(resources.folder("config")))
        self.keys = KeyRing(folder / "data" / "keys" / "tickets")

    def serve(
        self,
        services: Sequence[str],
        urls: Mapping[str, str],
        addresses: Mapping[str, str],
        *,
        name: str,
        port: int,
        workers: int = 1,
    ) -> RidehailProcess:
        """Returns a server, not yet started."""
        options = ["--grpc-port", str(port), "--workers", str(workers), "--no-reflection", "--cache-url", "none"]
        return self._command(
            role="serve", services=services, urls=urls, addresses=addresses, options=options, name=name
        )

    def worker(
        self, services: Sequence[str], urls: Mapping[str, str], addresses: Mapping[str, str], *, name: str
    ) -> RidehailProcess:
        """Returns a task worker, not yet started."""
        return self._command(role="worker", services=services, urls=urls, addresses=addresses, options=(), name=name)

    def _command(
        self,
        *,
        role: str,
        services: Sequence[str],
        urls: Mapping[str, str],
        addresses: Mapping[str, str],
        options: Sequence[str],
        name: str,
    ) -> RidehailProcess:
        words = [role, *services, "--metrics-port", "0", "--data-dir", str(self.folder / "data")]
        called = {name for service in services for name in suite.SERVICES[service].dependencies}
        addresses = dict.fromkeys(called, _NOBODY) | dict(addresses)
        words += ["--config-dir", str(self.config), *options]
        for service, address in addresses.items():
            words += ["--address", f"{service}={address}"]
        environment = {variable(service): url for service, url in urls.items()}
        return RidehailProcess(words, self.folder / f"{name}.log", environment)


class Stack:
    """Every service with a database in two server processes, a worker, and a proxy in front of each service's database.

    Attributes:
        proxies: By service.
        addresses: By service.
        processes: Servers and worker, by name.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.server_folder = ServerFolder(folder)
        self.postgres = Postgres(folder / "postgres")
        stack.callback(self.postgres.stop)
        self.postgres.start_with_schemas()
        target = postgres_target(self.postgres.url)
        self.proxies = {name: stack.enter_context(tcp_proxy(target)) for name in WORKLOADS}
        urls = {name: through(proxy, self.postgres.url) for name, proxy in self.proxies.items()}
        names = list(WORKLOADS)
        groups = {"servers-1": names[::2], "servers-2": names[1::2]}
        ports = {group: free_port(HOST, 0) for group in groups}
        self.addresses = {name: f"{HOST}:{ports[group]}" for group, members in groups.items() for name in members}
        self.processes = {
            group: self.server_folder.serve(members, urls, self.addresses, name=group, port=ports[group])
            for group, members in groups.items()
        }
        workers = [name for name, it in WORKLOADS.items() if it.task or name == "route-sharing"]
        self.processes["worker"] = self.server_folder.worker(workers, urls, self.addresses, name="worker")
        for process in self.processes.values():
            stack.callback(process.kill)
            process.start()

    def restart(self, names: Iterable[str]) -> None:
        """Kills processes and starts them again."""
        for name in names:
            self.processes[name].kill()
            self.processes[name].start()

    def group_of(self, service: str) -> str:
        """Returns the name of the server process of a service."""
        return next(name for name, it in self.processes.items() if it.ready.get("grpc") == self.addresses[service])


@contextmanager
def running_stack(folder: Path) -> Iterator[Stack]:
    with ExitStack() as stack:
        yield Stack(folder, stack)
