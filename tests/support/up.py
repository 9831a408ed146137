"""`ridehail` commands as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.ports import unused_port
from tests.support.waiting import TIMEOUT_FACTOR

RIDEHAIL = Path(sys.executable).with_name("ridehail")
READY_WITHIN_S = STOPPED_WITHIN_S = _COMMAND_S = 150.0 * TIMEOUT_FACTOR


class NotReady(Exception):
    """The command ended, or was not ready in time; holds its output."""


@dataclass
class RunningCommand:
    """A `ridehail` command that printed its ready line."""

    process: subprocess.Popen[str]
    output: Path
    started_in_s: float

    @property
    def data_dir(self) -> Path:
        words = self.process.args
        assert isinstance(words, list)
        return Path(words[words.index("--data-dir") + 1])

    @property
    def ready(self) -> dict[str, str]:
        """The addresses of the ready line: grpc, http, internal_http, metrics."""
        line = next(line for line in self.output.read_text().splitlines() if line.startswith("ready"))
        return dict(word.split("=", 1) for word in line.split()[1:])

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ends the command as a user would; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOPPED_WITHIN_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(STOPPED_WITHIN_S)


def start(
    arguments: Sequence[str], output: Path, *, environment: dict[str, str] | None = None, script: Path = RIDEHAIL
) -> RunningCommand:
    """Starts a `ridehail` command, of another install by its `script`, and waits for its ready line.

    Raises:
        NotReady: It ended, or was not ready in time.
    """
    began = time.monotonic()
    with output.open("w") as file:
        process = subprocess.Popen(
            [str(script), *arguments],
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    while "\nready " not in "\n" + output.read_text():
        if process.poll() is not None or time.monotonic() - began > READY_WITHIN_S:
            process.kill()
            process.wait()
            raise NotReady(output.read_text())
        time.sleep(0.05)
    return RunningCommand(process, output, time.monotonic() - began)


def up(data_dir: Path, *extra: str, script: Path = RIDEHAIL) -> RunningCommand:
    """Starts `ridehail up` on free ports."""
    ports = {"grpc": 0, "http": unused_port(), "internal-http": unused_port(), "metrics": 0}
    free = [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
    output = data_dir.with_suffix(f".{time.time_ns()}.out")
    return start(["up", "--data-dir", str(data_dir), *free, *extra], output, script=script)


def cli(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a `ridehail` command to its end."""
    return subprocess.run(
        [str(RIDEHAIL), *arguments],
        capture_output=True,
        text=True,
        timeout=_COMMAND_S,
        check=False,
        env={**os.environ, **(environment or {})},
    )


def processes_of(data_dir: Path) -> list[psutil.Process]:
    """Returns the living processes that mention the data directory."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "environ", "status"]):
        words = " ".join(process.info["cmdline"] or ())
        variables = " ".join((process.info["environ"] or {}).values())
        if process.info["status"] != psutil.STATUS_ZOMBIE and str(data_dir) in f"{words} {variables}":
            found.append(process)
    return [process for process in found if process.pid != os.getpid()]
