"""The servers that are measured, each in processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from ridehail_servers import resources, suite
from ridehail_servers.runtime.data_dir import DataDir
from ridehail_servers.runtime.ports import free_port

from . import go_programs

HOST = "127.0.0.1"
_START_S = 120.0
_ATTEMPTS = 3
# Characters of a log.
_LOG_END = 2_000
# Names the Redis that several processes share; without it nothing is cached.
_CACHE_VARIABLE = "RIDEHAIL_CACHE_URL"


class NotStarted(Exception):
    """A server did not start; the message has the end of its log."""


@dataclass(frozen=True)
class Running:
    """A server that accepts connections; children of `process` belong to it."""

    protocol: str
    address: str
    process: psutil.Process

    def processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


class Servers:
    """Starts servers whose logs, keys and configuration are in one folder."""

    def __init__(
        self, folder: Path, *, workers: int, kept: ExitStack | None = None, checkout: Path | None = None
    ) -> None:
        """Creates keys and configuration.

        Args:
            folder: Replaced if it exists.
            workers: Processes of each server.
            kept: Keeps servers running for other cases, or None if a server ends with its case.
            checkout: Has the servers of the suite, with their configuration and `.venv`, or None for this one.
        """
        self._kept = kept
        self._running: dict[tuple[str, ...], Running] = {}
        shutil.rmtree(folder, ignore_errors=True)
        self.folder = folder
        self._workers = workers
        binaries = checkout / ".venv" / "bin" if checkout else Path(sys.executable).parent
        self._command = str(binaries / "ridehail")
        # Another release has other ones.
        self._services = _services(binaries / "python") if checkout else tuple(suite.SERVICES)
        shutil.copytree(checkout / "config" if checkout else resources.folder("config"), folder / "config")
        DataDir(folder).ensure_keys(suite.ticket_sources(resources.folder("config")))

    @contextmanager
    def ridehail(
        self,
        *services: str,
        database_url: str,
        dependencies: Running | None = None,
        config: Path | None = None,
        **environment: str,
    ) -> Iterator[Running]:
        """Serves services of the suite as `ridehail serve` does.

        Args:
            services: Their names.
            database_url: Holds their schemas.
            dependencies: Serves all that they call, or None if they do so themselves.
            config: Folder of configuration files, or None for the shipped ones.
            environment: Variables beside those of this process.
        """
        command = [self._command, "serve", *services, "--no-reflection"]
        address = f"{HOST}:{{port}}" if dependencies is None else dependencies.address
        for name in self._services:
            command += ["--address", f"{name}={address}"]
        if self._workers > 1 and not os.environ.get(_CACHE_VARIABLE):
            command += ["--cache-url", "none"]
        options = {
            "--grpc-port": "{port}",
            "--metrics-port": "0",
            "--workers": str(self._workers),
            "--database-url": database_url,
            "--data-dir": str(self.folder),
            "--config-dir": str(config or self.folder / "config"),
        }
        words = [*command, *(word for pair in options.items() for word in pair)]
        with self._started(f"ridehail {services[0]}", "grpc", words, **environment) as it:
            yield it

    def with_experiments(self, *names: str) -> Path:
        """Returns a folder of configuration files with these experiments on for everybody."""

        def switch_on(flags: dict[str, Any]) -> None:
            for name in names:
                flags["flags"][name] = {"state": "ENABLED", "variants": {"on": True}, "defaultVariant": "on"}

        return self.changed_config("with-experiments", "flags.json", switch_on)

    def changed_config(self, name: str, file: str, change: Callable[[dict[str, Any]], None]) -> Path:
        """Returns a folder of configuration files, of which `change` has changed the content of one."""
        folder = self.folder / name
        shutil.copytree(self.folder / "config", folder, dirs_exist_ok=True)
        content = yaml.safe_load((folder / file).read_text())  # JSON is YAML as well
        change(content)
        (folder / file).write_text(json.dumps(content))
        return folder

    @contextmanager
    def null(self, variant: str) -> Iterator[Running]:
        """Serves a handler that does nothing: "bare", or "chassis" for the same behind all interceptors."""
        command = [sys.executable, "-m", "bench.null_server", variant, str(self.folder), "{port}", str(self._workers)]
        with self._started(variant, "grpc", command) as it:
            yield it

    @contextmanager
    def grpc_go(self, *, database_url: str) -> Iterator[Running]:
        """Serves RetrieveOrder by a compiled server, of one process that uses all cores."""
        command = [str(go_programs.built("grpc_go_peer")), "{port}", database_url]
        with self._started("grpc-go", "grpc", command) as it:
            yield it

    @contextmanager
    def fastapi(self, application: str, *, database_url: str, **environment: str) -> Iterator[Running]:
        """Serves the FastAPI application of a module in `bench`."""
        command = [sys.executable, "-m", "uvicorn", f"bench.{application}:app", "--host", HOST, "--port", "{port}"]
        config = str(self.folder / "config")
        options = ["--loop", "uvloop", "--http", "httptools", "--no-access-log", "--workers", str(self._workers)]
        environment |= {"BENCH_DATABASE_URL": database_url, "BENCH_CONFIG": config}
        with self._started(application, "http", [*command, *options], **environment) as it:
            yield it

    @contextmanager
    def _started(self, name: str, protocol: str, command: Sequence[str], **environment: str) -> Iterator[Running]:
        key = (*command, *environment.values())
        if key in self._running:
            yield self._running[key]
            return
        with ExitStack() as of_case:
            running = (self._kept or of_case).enter_context(self._run(name, protocol, command, environment))
            if self._kept is not None:
                self._running[key] = running
            yield running

    @contextmanager
    def _run(
        self, name: str, protocol: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> Iterator[Running]:
        process, port = self._start(name, command, environment)
        try:
            yield Running(protocol, f"{HOST}:{port}", psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(_START_S)

    def _start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> tuple[subprocess.Popen[bytes], int]:
        """Starts a process at a free port; tries another port if somebody else takes that first."""
        log = self.folder / f"{name}.log"
        for _ in range(_ATTEMPTS):
            port = free_port(HOST, 0)
            with log.open("w") as output:
                process = subprocess.Popen(
                    [word.replace("{port}", str(port)) for word in command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={**os.environ, **environment},
                )
            if listens(process, port):
                return process, port
            process.kill()
            process.wait()
        raise NotStarted(f"{name} does not start: {log.read_text()[-_LOG_END:]}")


def _services(python: Path) -> Sequence[str]:
    listed = "from ridehail_servers import suite; print(*suite.SERVICES)"
    return subprocess.run([str(python), "-c", listed], capture_output=True, text=True, check=True).stdout.split()


def listens(process: subprocess.Popen[bytes], port: int) -> bool:
    """Waits until a process listens; returns False if it ends before."""
    ends = time.monotonic() + _START_S
    while time.monotonic() < ends and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return True
        time.sleep(0.05)
    return False
