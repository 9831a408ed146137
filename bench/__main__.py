"""Measures the real servers, and what they are compared with, on this machine.

    python -m bench [CASE ...] [--rounds N] [--seconds S] [--workers N] [--callers N] [--sizes SMALL,LARGE] [--quick]

All servers of a case run at the same time and are loaded in turns; the table shows medians. Compare figures of one run
only: machines differ, and so do hours of the same machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from .cases import CASES, Case
from .comparison import Figures, Goal, Schedule, compare
from .harness import Harness
from .load import LoadFailed, ToolMissing, built
from .servers import NotStarted, Servers
from .tables import FULL_SIZE, tables

_FOLDER = Path(__file__).parents[1] / "build" / "bench"
# The case of the sizes fills tables for minutes, so it runs on request only.
_USUAL = (
    "retrieve",
    "batch",
    "check-eulas",
    "list-eulas",
    "poll-orders",
    "taxi-on-the-way",
    "get-personal-state",
    "personal-state-compare",
)
_SIZES = "10000,10000000"


def main() -> int:
    arguments = _arguments()
    schedule = Schedule(arguments.rounds, arguments.seconds, warm_up_s=min(2.0, arguments.seconds))
    orders, sizes = FULL_SIZE, arguments.sizes
    messages = 50_000
    if arguments.quick:
        schedule, orders, sizes, messages = Schedule(1, 0.2, 0.1), 1_000, (500, 1_000), 500
    try:
        built()
        with (
            tables(arguments.folder) as filled,
            tempfile.TemporaryDirectory(prefix="ridehail-load-") as folder,
            ExitStack() as kept,
        ):
            kept_if_quick = kept if arguments.quick else None
            servers = Servers(Path(folder, "servers"), workers=arguments.workers, kept=kept_if_quick)
            harness = Harness(servers, filled, orders, sizes, arguments.callers, messages)
            for name in arguments.cases or _USUAL:
                _measure(CASES[name], harness, schedule)
    except (ToolMissing, NotStarted, LoadFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(case: Case, harness: Harness, schedule: Schedule) -> None:
    with case.contenders(harness) as contenders:
        print(
            f"\n{case.title} ({schedule.rounds} rounds of {schedule.seconds} s, {harness.callers} callers)", flush=True
        )
        figures = compare(contenders, schedule, harness.tables.processes)
        orders = {contender.name: contender.orders for contender in contenders}
    _print_table(figures, orders)
    _print_goals(case.goals, figures)


def _print_table(figures: Mapping[str, Figures], orders: Mapping[str, int]) -> None:
    columns = ("requests/s", "orders/s", "p50 ms", "p99 ms", "server us", "postgres us", "generator us")
    print(f"{'':<20}" + "".join(f"{column:>13}" for column in columns))
    for name, one in figures.items():
        counts = (one.requests_per_s, one.requests_per_s * orders[name])
        cpu = (one.server_us, one.postgres_us, one.generator_us)
        print(
            f"{name:<20}"
            + "".join(f"{count:>13,.0f}" for count in counts)
            + f"{one.p50_ms:>13.2f}{one.p99_ms:>13.2f}"
            + "".join(f"{used:>13.0f}" for used in cpu)
        )


def _print_goals(goals: Sequence[Goal], figures: Mapping[str, Figures]) -> None:
    for goal in goals:
        ratio = goal.ratio(figures)
        reached = ratio >= goal.target if goal.at_least else ratio <= goal.target
        target = f"{'>=' if goal.at_least else '<='} {goal.target}"
        print(f"{goal.text}: {ratio:.2f} (target {target}: {'reached' if reached else 'missed'})", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"{', '.join(CASES)}; default: {' '.join(_USUAL)}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a turn")
    parser.add_argument("--workers", type=int, default=1, help="processes of each server")
    parser.add_argument("--callers", type=int, default=32, help="requests under way at any time")
    parser.add_argument("--sizes", type=_sizes, default=_SIZES, help="orders in the small and the large tables")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="keeps the filled tables for the next run")
    parser.add_argument("--quick", action="store_true", help="see that it works: tiny tables, one short round")
    arguments = parser.parse_args()
    for name in arguments.cases:
        if name not in CASES:
            parser.error(f"no case {name!r}; there are: {', '.join(CASES)}")
    return arguments


def _sizes(text: str) -> tuple[int, int]:
    small, large = map(int, text.split(","))
    return small, large


if __name__ == "__main__":
    sys.exit(main())
