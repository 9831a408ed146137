"""Measures the real servers, and what they are compared with, on this machine.

    python -m bench [CASE ...] [--rounds N] [--seconds S] [--workers N] [--callers N] [--sizes SMALL,LARGE] [--quick]

All servers of a case run at the same time and are loaded in turns; the tables show medians, and the lowest and highest
ratio of the rounds. Compare figures of one run only: machines differ, and so do hours of the same machine.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from .case import Case
from .cases import CASES
from .comparison import Figures, Round, Schedule, compare, medians
from .cpu import CORES, is_noisy
from .go_programs import ToolMissing, built
from .harness import Harness
from .load import LoadFailed
from .report import Report, table
from .servers import NotStarted, Servers
from .tables import FULL_SIZE, tables
from .verdicts import Ratio, judge, other_cores

_FOLDER = Path(__file__).parents[1] / "build" / "bench"
# The case of the sizes fills tables for minutes, so it runs on request only.
_USUAL = (
    "retrieve",
    "batch",
    "check-eulas",
    "list-eulas",
    "json-eulas",
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
        schedule, orders, sizes, messages = Schedule(1, 0.2, 0.1), 200, (500, 1_000), 200
    try:
        built("loadgen")
        with (
            tables(arguments.folder) as filled,
            tempfile.TemporaryDirectory(prefix="ridehail-load-") as folder,
            ExitStack() as kept,
        ):
            servers = Servers(
                Path(folder, "servers"),
                workers=arguments.workers,
                kept=kept if arguments.quick else None,
                checkout=arguments.checkout,
            )
            harness = Harness(servers, filled, orders, sizes, arguments.callers, messages)
            report = Report(arguments.folder / "report.md")
            ratios = {name: _measure(CASES[name], harness, schedule, report) for name in arguments.cases or _USUAL}
            report.add("## Ratios", "", *_ratios_table(ratios))
    except (ToolMissing, NotStarted, LoadFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _measure(case: Case, harness: Harness, schedule: Schedule, report: Report) -> list[Ratio]:
    with case.contenders(harness) as contenders:
        rounds = compare(contenders, schedule, harness.tables.processes)
    report.add(
        f"## {case.title}",
        "",
        f"{schedule.rounds} rounds of {schedule.seconds} s, {harness.callers} callers. {_machine(rounds)}",
        "",
        *_figures_table(medians(rounds), {contender.name: contender.orders for contender in contenders}),
    )
    ratios = [judge(goal, rounds) for goal in case.goals]
    for ratio in ratios:
        print(f"{ratio.goal.text}: {_told(ratio)}", flush=True)
    return ratios


def _machine(rounds: Sequence[Round]) -> str:
    others = other_cores(rounds)
    used = f"Others used {others:.2f} of {CORES} cores"
    return f"{used}: too noisy to tell anything." if is_noisy(others) else f"{used}."


def _told(ratio: Ratio) -> str:
    spread = f"{ratio.lowest:.2f} to {ratio.highest:.2f}"
    return f"{ratio.median:.2f} ({spread}; target {_target(ratio)}: {ratio.verdict})"


def _target(ratio: Ratio) -> str:
    return f"{'>=' if ratio.goal.at_least else '<='} {ratio.goal.target}"


def _figures_table(figures: Mapping[str, Figures], orders: Mapping[str, int]) -> list[str]:
    columns = ["", "requests/s", "orders/s", "p50 ms", "p99 ms", "server us", "dependencies us", "postgres us"]
    rows = [
        [
            name,
            f"{one.requests_per_s:,.0f}",
            f"{one.requests_per_s * orders[name]:,.0f}",
            f"{one.p50_ms:.2f}",
            f"{one.p99_ms:.2f}",
            *(f"{used:,.0f}" for used in (one.server_us, one.dependencies_us, one.postgres_us, one.generator_us)),
        ]
        for name, one in figures.items()
    ]
    return table([*columns, "generator us"], rows)


def _ratios_table(ratios: Mapping[str, Sequence[Ratio]]) -> list[str]:
    return table(
        ("case", "ratio", "target", "median", "lowest", "highest", "verdict"),
        [
            (
                name,
                ratio.goal.text,
                _target(ratio),
                f"{ratio.median:.2f}",
                f"{ratio.lowest:.2f}",
                f"{ratio.highest:.2f}",
                ratio.verdict,
            )
            for name, of_case in ratios.items()
            for ratio in of_case
        ],
    )


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
    parser.add_argument(
        "--checkout", type=Path, help="has the servers to measure, with their .venv, instead of this one"
    )
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
