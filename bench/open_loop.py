"""The load generator's open loop: streams of calls that are sent when they are due, and how each ended."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from . import go_programs, load

_GRACE_S = 60.0
_GOOD = frozenset({"OK", "NotFound", "200", "404"})
_numbers = itertools.count()


@dataclass(frozen=True)
class Stream:
    """Calls of one method.

    Attributes:
        path: `/package.Service/Method`, or the path of an HTTP POST.
        bodies: Sent in this order, then from the beginning.
        rate: Calls a second, or 0 for as many as `connections` callers can make.
        each: A header and its values, one for each body.
        protocol: "grpc" or "http".
        source: Local address that it calls from, or empty for the kernel's choice.
        coalesce: Whether each connection sends calls that are due while others are under way as one, as a client with
            `coalesce=True` does. Bodies are those of a batch of one.
    """

    name: str
    address: str
    path: str
    bodies: Sequence[bytes]
    rate: float
    deadline_s: float = 1.0
    headers: Mapping[str, str] = field(default_factory=dict)
    each: tuple[str, Sequence[str]] | None = None
    connections: int = 1
    protocol: str = "grpc"
    source: str = ""
    coalesce: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A call and its end, in Unix seconds.

    Attributes:
        index: Position in the stream, from 0.
        code: gRPC code as in `Unavailable`, HTTP status, or SKIPPED.
        reason: Of the error, or empty if it has none.
        retry_ms: Delay that the error asks for, or 0 for none.
    """

    index: int
    due: float
    sent: float
    done: float
    code: str
    reason: str
    retry_ms: int

    @property
    def is_acknowledged(self) -> bool:
        return self.code in {"OK", "200"}

    @property
    def is_good(self) -> bool:
        """Whether the service worked: "not found" is a result as well."""
        return self.code in _GOOD

    @property
    def seconds(self) -> float:
        return self.done - self.sent


Events = dict[str, list[Event]]
"""Name of a stream -> its events by due instant."""


async def run(streams: Sequence[Stream], seconds: float, folder: Path) -> Events:
    """Sends all streams at the same time; streams of one name count as one.

    Raises:
        LoadFailed: The generator failed.
    """
    with TemporaryDirectory(prefix="plan-", dir=folder) as name:
        here = Path(name)
        plan = {
            "seconds": seconds,
            "events": str(here / "events"),
            "streams": [_described(stream, here) for stream in streams],
        }
        (here / "plan.json").write_text(json.dumps(plan))
        process = await asyncio.create_subprocess_exec(
            str(go_programs.built("loadgen")), f"-plan={here / 'plan.json'}", stderr=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(seconds + _GRACE_S):
                _, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise load.LoadFailed(errors.decode().strip())
        return _read(here / "events", [stream.name for stream in streams])


def quantile(values: Iterable[float], share: float) -> float:
    """Returns a quantile, or 0 if there are no values."""
    ordered = sorted(values)
    return ordered[int(share * (len(ordered) - 1))] if ordered else 0.0


def _described(stream: Stream, folder: Path) -> dict[str, object]:
    number = next(_numbers)
    described: dict[str, object] = {
        "protocol": stream.protocol,
        "address": stream.address,
        "path": stream.path,
        "headers": dict(stream.headers),
        "bodies": str(load.write_bodies(folder / f"{number}.bodies", stream.bodies)),
        "rate": stream.rate,
        "deadline_ms": round(1000 * stream.deadline_s),
        "connections": stream.connections,
        "from": stream.source,
        "coalesce": stream.coalesce,
    }
    if stream.each is not None:
        name, values = stream.each
        file = load.write_bodies(folder / f"{number}.values", (value.encode() for value in values))
        described |= {"each_header": name, "each_values": str(file)}
    return described


def _read(file: Path, names: Sequence[str]) -> Events:
    events: Events = {name: [] for name in names}
    for line in file.read_text().splitlines():
        stream, index, due, sent, done, code, reason, retry_ms = line.split(",")
        event = Event(
            int(index),
            int(due) / 1e6,
            int(sent) / 1e6,
            int(done) / 1e6,
            code=code,
            reason=reason,
            retry_ms=int(retry_ms),
        )
        events[names[int(stream)]].append(event)
    for found in events.values():
        found.sort(key=lambda event: event.due)
    return events
