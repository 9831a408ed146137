"""Breaks the suite on purpose, part by part, and checks what it promises.

    python -m bench.chaos [PART ...] [--quick] [--folder FOLDER]

Writes build/chaos/chaos.md and chaos.json, and exits with 1 when a promise was broken. See docs/reliability.md.

Each part is a module with `run(report, folder, effort)`, which adds its findings to the report.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import traceback
from pathlib import Path

from bench import go_programs
from tests.support.folders import shared_folder

from .report import ChaosReport, Effort

_BUILD = Path(__file__).parents[2] / "build" / "chaos"
PARTS = {
    "outages": "the database goes away in every way, at every rate and for every time",
    "overload": "up to eight times the calls that the database can serve",
    "failover": "the primary fails and its synchronous standby takes over",
    "restarts": "servers behind the client library are restarted in turn, and one hangs",
    "freezes": "each process of `ridehail up` hangs for half a minute",
    "fairness": "one passenger floods the gateway beside twenty others",
    "disk_full": "the disk of `ridehail up` is full",
    "kill_loop": "`ridehail up` is killed and started again and again",
    "migrating": "migrations are killed at each step",
    "pgbouncer": "every service behind PgBouncer with transaction pooling",
}


def main() -> int:
    arguments = _arguments()
    try:
        go_programs.built("loadgen")
    except go_programs.ToolMissing as error:
        print(f"chaos: {error}", file=sys.stderr)
        return 1
    report, effort = ChaosReport(arguments.folder), Effort(arguments.quick, arguments.at_once, arguments.outage_minutes)
    for part in arguments.parts or PARTS:
        module = importlib.import_module(f".{part}", __package__)
        with shared_folder() as folder:
            try:
                asyncio.run(module.run(report, folder, effort))
            except Exception:  # the other parts are still worth running
                traceback.print_exc()
                report.add(part, "the part itself", {}, promise="runs to its end", kept=False)
    return report.close()


def _arguments() -> argparse.Namespace:
    described = "\n".join(f"  {name:<12} {what}" for name, what in PARTS.items())
    parser = argparse.ArgumentParser(
        prog="bench.chaos",
        description=f"{__doc__}\nparts:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help="default: all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter cases of each part")
    parser.add_argument("--at-once", type=int, default=3, help="services that fail at once; more on more cores")
    parser.add_argument("--outage-minutes", type=float, default=30.0, help="begin no further outages after this long")
    parser.add_argument("--folder", type=Path, default=_BUILD, help="where the findings are written")
    arguments = parser.parse_args()
    for part in arguments.parts:
        if part not in PARTS:
            parser.error(f"no part {part!r}; there are: {', '.join(PARTS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
