"""grpcurl, built from its pinned source where Go is installed."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from tests.support.waiting import LIMIT_S

VERSION = "v1.9.4"
PACKAGE = "github.com/fullstorydev/grpcurl/cmd/grpcurl"
_BUILD_S = 600


class GrpcurlFailed(Exception):
    """grpcurl ended with an error; the message is its output."""


class Grpcurl:
    """Calls by grpcurl, which reads the contracts by reflection."""

    def __init__(self, program: Path) -> None:
        self.program = program

    def call(self, address: str, method: str, body: dict[str, Any], *, ticket: str) -> dict[str, Any]:
        header = f"x-ya-service-ticket: {ticket}"
        response: dict[str, Any] = json.loads(
            self.run("-plaintext", "-H", header, "-d", json.dumps(body), address, method)
        )
        return response

    def run(self, *arguments: str) -> str:
        ended = subprocess.run(
            [str(self.program), *arguments], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        if ended.returncode != 0:
            raise GrpcurlFailed(ended.stderr)
        return ended.stdout


def build(folder: Path) -> Grpcurl | None:
    """Returns grpcurl, built once a folder, or None if Go is not installed."""
    program = folder / f"grpcurl-{VERSION}" / "grpcurl"
    go = shutil.which("go")
    if go is None and not program.exists():
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may want it at once
        if go and not program.exists():
            subprocess.run(
                [go, "install", f"{PACKAGE}@{VERSION}"],
                check=True,
                timeout=_BUILD_S,
                capture_output=True,
                env={**os.environ, "GOBIN": str(program.parent)},
            )
    return Grpcurl(program)
