"""Shows a job's progress on standard error: bars on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

# A plain line is written at most this often, so that the log of a long job stays short.
_LINE_EVERY_S = 5.0


class JobProgress:
    """The progress of a job's steps."""

    def __init__(
        self, totals: Mapping[str, int | None], *, in_bytes: bool = False, console: Console | None = None
    ) -> None:
        """Prepares a bar for each step of so many bytes, or about so many rows; None: nobody knows."""
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        rows = MofNCompleteColumn(separator="/" if None in totals.values() else " of about ")
        amount = DownloadColumn() if in_bytes else rows
        columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
        self._totals = totals
        self._bars = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._tasks = {step: self._bars.add_task(step, total=total) for step, total in totals.items()}
        self._line_at = time.monotonic() + _LINE_EVERY_S

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def show(self, step: str, done: int, text: str) -> None:
        """Shows how much of a step is done; `text` says so on a plain line."""
        total = self._totals[step]
        # There may be more than was estimated.
        self._bars.update(self._tasks[step], completed=done, total=None if total is None else max(total, done))
        if not self._console.is_terminal and time.monotonic() >= self._line_at:
            self._line_at = time.monotonic() + _LINE_EVERY_S
            self._console.print(f"{step}: {text}")
