"""All that a process logs: our own lines and every library's."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ridehail_servers.chassis import logs


@dataclass
class LogCapture:
    stream: io.StringIO = field(default_factory=io.StringIO)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n") if line]

    def events(self, event: str) -> list[dict[str, Any]]:
        """Returns the lines of an event."""
        return [line for line in self.lines if line["event"] == event]


@contextmanager
def captured_logs(*, level: str = "INFO") -> Iterator[LogCapture]:
    """Logs as a process of the suite does, but to memory, for the length of the block."""
    capture = LogCapture()
    logs.configure(service="test", level=level, stream=capture.stream)
    try:
        yield capture
    finally:
        logs.configure(service="tests")
