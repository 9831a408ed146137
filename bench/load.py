"""The load generator's closed loop: `bench/loadgen`, a small Go program.

ghz takes nearly as much CPU a request as a bare Python server does (175 us, this one 75), so on one machine it measures
itself as well. h2load sends one fixed body: every request would look up the same order. Neither speaks both gRPC and
JSON over HTTP/1.1, and two generators make no fair comparison.
"""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from . import go_programs

_GRACE_S = 30
# FastAPI builds some 140 cards a second on a core of its own, and has less than one where others work as well.
_EACH_ONCE_S = 600.0


class LoadFailed(Exception):
    """A request failed: what was measured means nothing."""


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        protocol: "grpc" or "http".
        path: `/package.Service/Method`, or the path of an HTTP POST.
        bodies: A file of `write_bodies`.
        callers: Requests under way at any time.
        each: Name and file (of `write_bodies`) of a header that differs for each body.
    """

    protocol: str
    address: str
    path: str
    bodies: Path
    headers: Mapping[str, str]
    callers: int
    each: tuple[str, Path] | None = None


@dataclass(frozen=True)
class Measured:
    """What the generator measured."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    cpu_seconds: float


def write_bodies(file: Path, bodies: Iterable[bytes]) -> Path:
    """Writes the messages of which each request takes one at random; returns the file."""
    with file.open("wb") as output:
        for body in bodies:
            output.write(struct.pack(">I", len(body)) + body)
    return file


def run(load: Load, seconds: float, *, each_once: bool = False) -> Measured:
    """Sends requests in a closed loop: each caller sends the next one as soon as the last has ended.

    Args:
        load: What to send.
        seconds: For how long.
        each_once: Sends every message once, however long that takes, instead of random ones for some time.

    Raises:
        LoadFailed: A request failed.
        ToolMissing: The generator cannot be built.
    """
    options: dict[str, object] = {
        "protocol": load.protocol,
        "address": load.address,
        "path": load.path,
        "bodies": load.bodies,
        "headers": ",".join(f"{name}={value}" for name, value in load.headers.items()),
        "callers": load.callers,
        "seconds": seconds,
        "each-once": str(each_once).lower(),
    }
    if load.each is not None:
        options["each-header"], options["each-values"] = load.each
    ended = subprocess.run(
        [str(go_programs.built("loadgen")), *(f"-{name}={value}" for name, value in options.items())],
        capture_output=True,
        text=True,
        timeout=seconds + (_EACH_ONCE_S if each_once else _GRACE_S),
        check=False,
    )
    if ended.returncode != 0:
        raise LoadFailed(ended.stderr.strip())
    report = json.loads(ended.stdout)
    if report["failures"] or not report["requests"]:
        raise LoadFailed(
            f"{report['failures']} requests to {load.path} failed, the first with: {report['first_failure']}"
        )
    return Measured(**{name: report[name] for name in Measured.__dataclass_fields__})
