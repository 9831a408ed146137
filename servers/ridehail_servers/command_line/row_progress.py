"""How far a job has come with its rows: a bar on a terminal, plain lines otherwise."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from ridehail_servers.toll_roads.retention.progress import Outcome, Step
from ridehail_servers.toll_roads.retention.progress import Progress as Done

# A plain line is written at most this often, so that the log of a long job stays short.
_LINE_EVERY_S = 5.0


class RowProgress:
    """Shows on standard error what a job reports, and adds it up."""

    def __init__(self, due: Mapping[Step, int], *, console: Console | None = None) -> None:
        """Prepares a bar for each step.

        Args:
            due: The rows that each step will meet.
            console: Where to show; None: standard error.
        """
        self._due = due
        self._console = console or Console(stderr=True, highlight=False, soft_wrap=True)
        self._counts: Counter[tuple[Step, Outcome]] = Counter()
        self._line_at = time.monotonic() + _LINE_EVERY_S
        self._bars: Progress | None = None
        self._tasks: dict[Step, TaskID] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bars = Progress(*columns, console=self._console)
            self._tasks = {step: self._bars.add_task(step.value, total=rows) for step, rows in self._due.items()}
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def report(self, done: Done) -> None:
        """Takes what a job has just done.

        Args:
            done: From the job.
        """
        self._counts[done.step, done.outcome] += done.rows
        if done.outcome is Outcome.KEPT:
            return
        if self._bars is not None:
            self._bars.advance(self._tasks[done.step], done.rows)
        elif time.monotonic() >= self._line_at:
            self._line_at = time.monotonic() + _LINE_EVERY_S
            self._console.print(f"{done.step}: {self._counts[done.step, done.outcome]} of {self._due[done.step]}")

    def summary(self) -> str:
        """Returns one line with all that was done."""
        parts = []
        for step in self._due:
            counts = {outcome: rows for (at, outcome), rows in self._counts.items() if at is step}
            told = " ".join(f"{outcome}={rows}" for outcome, rows in sorted(counts.items()))
            parts.append(f"{step} {told or 'nothing to do'}")
        return ", ".join(parts)
