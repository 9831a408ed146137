"""Lets Postgres fail over by Patroni under the suite, fault by fault, and checks what is promised.

    python -m bench.ha [PASS ...] [--quick] [--only TEXT] [--minutes MINUTES] [--go-on] [--folder FOLDER] [--page PAGE]

Writes build/ha/ha.md and ha.json, and exits with 1 when a promise was broken. See docs/reliability.md.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import asdict
from pathlib import Path
from typing import Final

from bench.chaos.report import ChaosReport
from bench.go_programs import ToolMissing
from tests.support.folders import shared_folder

from . import tools
from .campaign import Episode, run_pass
from .faults import PASSES, ClusterFault, FailoverPass
from .page import table_of, written_into
from .tools import Tools

_SHOWN: Final = frozenset(
    {"calls", "tasks", "followers", "failed", "late", "acknowledged", "lost", "doubled", "stale", "resets"}
)
_BUILD: Final = Path(__file__).parents[2] / "build" / "ha"


class FailoverCampaign:
    """The faults of some passes, and what they did: the folder keeps it, for a run that goes on after a break."""

    def __init__(self, arguments: argparse.Namespace, programs: Tools) -> None:
        self._arguments = arguments
        self._programs = programs
        self._file: Path = arguments.folder / "episodes.jsonl"
        self._ends = time.monotonic() + 60 * arguments.minutes
        self.report = ChaosReport(arguments.folder, name="ha")
        self.episodes: list[Episode] = []
        arguments.folder.mkdir(parents=True, exist_ok=True)
        if arguments.go_on and self._file.exists():
            self.episodes = [Episode(**json.loads(line)) for line in self._file.read_text().splitlines()]
        self._file.write_text("")
        for episode in self.episodes:
            self._note(episode)

    def run(self) -> bool:
        """Runs what is left of the passes; returns whether all of it was."""
        for name in self._arguments.passes or PASSES:
            what = PASSES[name]
            left = [
                fault
                for fault in (what.quick if self._arguments.quick else what.faults)
                if self._arguments.only in fault.name
            ]
            for episode in self.episodes:
                if episode.way == what.title:
                    done = next((at for at, fault in enumerate(left) if fault.name == episode.fault), len(left))
                    del left[done : done + 1]
            with shared_folder() as folder:
                try:
                    if left and not asyncio.run(self._run(what, left, folder)):
                        return False
                except ToolMissing:
                    raise
                except Exception:  # the other passes are still worth running
                    traceback.print_exc()
                    _keep_logs(folder, self._arguments.folder / "logs")
                    self.report.add(what.title, "the pass itself", {}, promise="runs to its end", kept=False)
        return True

    async def _run(self, what: FailoverPass, left: Sequence[ClusterFault], folder: Path) -> bool:
        async with aclosing(run_pass(what, left, folder, self._programs)) as episodes:
            async for episode in episodes:
                self.episodes.append(episode)
                self._note(episode)
                if time.monotonic() > self._ends:
                    return False
        return True

    def _note(self, episode: Episode) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(episode)) + "\n")
        figures = {name: value for name, value in asdict(episode).items() if name in _SHOWN and value is not None}
        self.report.add(
            episode.way,
            episode.fault,
            figures,
            promise=f"all back within {episode.promised_s:.0f} s, 0 lost, 0 doubled",
            kept=episode.kept,
            note=", ".join(f"{name} {count}" for name, count in list(episode.reasons.items())[:4]),
        )


def _keep_logs(folder: Path, kept: Path) -> None:
    for log in folder.rglob("*.log"):
        target = kept / log.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, target)


def main() -> int:
    arguments = _arguments()
    # What it has started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        campaign = FailoverCampaign(arguments, tools.found())
        is_whole = campaign.run()
    except ToolMissing as error:
        print(f"ha: {error}", file=sys.stderr)
        return 1
    table = table_of(campaign.episodes)
    print("\n".join(("", *table)))
    if arguments.page is not None and is_whole:
        arguments.page.write_text(written_into(arguments.page.read_text(), table))
    return campaign.report.close()


def _arguments() -> argparse.Namespace:
    described = "\n".join(f"  {name:<12} {it.title}: {len(it.faults)} faults" for name, it in PASSES.items())
    parser = argparse.ArgumentParser(
        prog="bench.ha",
        description=f"{__doc__}\npasses:\n{described}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("passes", nargs="*", metavar="PASS", help="default: all")
    parser.add_argument("--quick", action="store_true", help="a handful of faults")
    parser.add_argument("--folder", type=Path, default=_BUILD, help="where the findings are written")
    parser.add_argument("--only", default="", help="only faults whose names have this in them")
    parser.add_argument("--minutes", type=float, default=120.0, help="begin no further faults after this long")
    parser.add_argument("--go-on", action="store_true", help="keep what the folder has, and run what it lacks")
    parser.add_argument("--page", type=Path, help="whose table is replaced by that of this run")
    arguments = parser.parse_args()
    for name in arguments.passes:
        if name not in PASSES:
            parser.error(f"no pass {name!r}; there are: {', '.join(PASSES)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
