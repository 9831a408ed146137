"""The table of docs/reliability.md, as a run writes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

from bench.open_loop import quantile
from bench.report import table

from .campaign import Episode

_COLUMNS: Final = (
    "fault", "times", "calls back after p50, longest", "a task done", "a change followed", "promised", "failed writes",
    "acknowledged, lost, doubled",
)  # fmt: skip
_PLACE: Final = re.compile(r"(<!-- by make ha -->\n).*?(<!-- end -->)", re.DOTALL)


def table_of(episodes: Sequence[Episode]) -> list[str]:
    """Returns the lines of the table: a row for each way and fault, and their sum."""
    groups: dict[tuple[str, str], list[Episode]] = {}
    for episode in episodes:
        groups.setdefault((episode.way, episode.fault), []).append(episode)
    rows = [_row(f"{way}: {fault}", those) for (way, fault), those in groups.items()]
    return table(_COLUMNS, [*rows, _row("all", episodes)]) if episodes else []


def written_into(page: str, lines: Sequence[str]) -> str:
    """Returns the page with these lines in the place of the last run's."""
    found, count = _PLACE.subn(lambda place: "\n".join((f"{place[1]}", *lines, "", place[2])), page)
    assert count == 1, "the page has no place for the table"
    return found


def _row(name: str, those: Sequence[Episode]) -> list[str]:
    total: Counter[str] = Counter()
    for it in those:
        lost = sum(it.lost.values()) + (it.stale or 0)
        total.update(failed=it.failed, acknowledged=it.acknowledged, lost=lost, doubled=sum(it.doubled.values()))
    promised = {f"{it.promised_s:.0f} s" for it in those}
    return [
        name,
        str(len(those)),
        _times([it.calls for it in those]),
        _longest([it.tasks for it in those]),
        _longest([it.followers for it in those]),
        promised.pop() if len(promised) == 1 else "",
        str(total["failed"]),
        f"{total['acknowledged']}, {total['lost']}, {total['doubled']}",
    ]


def _times(seconds: Sequence[float | None]) -> str:
    known = [it for it in seconds if it is not None]
    return f"{quantile(known, 0.5):.1f}, {_longest(seconds)}"


def _longest(seconds: Sequence[float | None]) -> str:
    known = [it for it in seconds if it is not None]
    return f"{max(known):.1f} s" if len(known) == len(seconds) else "never"
