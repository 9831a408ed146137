"""What was measured, as Markdown: read in a terminal, or pasted into a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class Report:
    """Prints what is added to it, and keeps it in a file as well."""

    def __init__(self, file: Path) -> None:
        """Creates an empty report in place of the last run's."""
        self._file = file
        file.write_text("")

    def add(self, *lines: str) -> None:
        """Adds lines, after an empty one."""
        text = "\n".join(("", *lines))
        print(text, flush=True)
        with self._file.open("a") as output:
            print(text, file=output)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Returns the lines of a table whose first column is text, and whose others are aligned to the right."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = (
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join((first, *others))} |"

    rules = ["-" * width if number == 0 else "-" * (width - 1) + ":" for number, width in enumerate(widths)]
    return [line(columns), f"| {' | '.join(rules)} |", *map(line, rows)]
