"""What a process runs: the version of the suite, and the commit that it was built from."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from functools import cache
from typing import Final

SUITE: Final = "ridehail"
COMMIT_VARIABLE: Final = "RIDEHAIL_COMMIT"


@cache
def version() -> str:
    """Returns the version of the installed distribution, or an empty string where none is installed."""
    from importlib import metadata  # noqa: PLC0415 - commands that log nothing do without

    try:
        return metadata.version("ridehail")
    except metadata.PackageNotFoundError:
        return ""


def commit() -> str:
    """Returns the commit, where whoever built the image has put it into the environment, or an empty string."""
    return os.environ.get(COMMIT_VARIABLE, "")


def instance_id(process: str, pid: int) -> str:
    """Returns an id that no other process has: its machine, or pod, its name there, and its process id."""
    return f"{socket.gethostname()}/{process}/{pid}"


def service_name(services: Sequence[str]) -> str:
    """Returns what a process is to those who read its log: its only service, or the suite."""
    return services[0] if len(services) == 1 else SUITE
