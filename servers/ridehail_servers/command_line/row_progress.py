"""What a retention job has done with its rows, shown as it goes and told in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console

from ridehail_servers.toll_roads.retention.progress import Outcome, Progress, Step

from .job_progress import JobProgress


class RowProgress:
    """Shows what a job reports, and adds it up."""

    def __init__(self, due: Mapping[Step, int], *, console: Console | None = None) -> None:
        """Prepares a bar for each step.

        Args:
            due: The rows that each step will meet.
            console: Where to show; None: standard error.
        """
        self._due = due
        self._counts: Counter[tuple[Step, Outcome]] = Counter()
        self._shown = JobProgress({step.value: rows for step, rows in due.items()}, console=console)

    def __enter__(self) -> Self:
        self._shown.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._shown.__exit__(kind, error, traceback)

    def report(self, done: Progress) -> None:
        """Takes what a job has just done.

        Args:
            done: From the job.
        """
        self._counts[done.step, done.outcome] += done.rows
        if done.outcome is not Outcome.KEPT:
            rows = self._counts[done.step, done.outcome]
            self._shown.show(done.step.value, rows, f"{rows} of {self._due[done.step]}")

    def summary(self) -> str:
        """Returns one line with all that was done."""
        parts = []
        for step in self._due:
            counts = {outcome: rows for (at, outcome), rows in self._counts.items() if at is step}
            told = " ".join(f"{outcome}={rows}" for outcome, rows in sorted(counts.items()))
            parts.append(f"{step} {told or 'nothing to do'}")
        return ", ".join(parts)
