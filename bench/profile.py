"""Where the time of a case goes: samples the measured server with py-spy while it is loaded.

    python -m bench.profile [CASE ...] [--seconds S] [--callers N] [--lines N] [--py-spy COMMAND]

Prints the time of each package and of the lines that take most, in microseconds a request, while they hold the
interpreter's lock. C code counts for the line that called it; what runs without the lock, as a transport in Rust and
the kernel, is only in the sum. The stacks are kept beside the tables, as CASE.folded, for viewers of flame graphs.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import load
from .case import Case
from .cases import CASES
from .comparison import Contender
from .cpu import cpu_seconds
from .go_programs import ToolMissing
from .harness import Harness
from .report import Report, table
from .servers import NotStarted, Servers
from .tables import FULL_SIZE, tables

_FOLDER = Path(__file__).parents[1] / "build" / "bench"
_USUAL = ("retrieve", "poll-orders", "taxi-on-the-way")
_SAMPLES_PER_S = 250
_START_S = 3.0
# As in `run (asyncio/runners.py:190)`.
_FRAME = re.compile(r"(?P<function>.*) \((?P<file>.*?)(?::(?P<line>\d+))?\)")


class ProfilerFailed(Exception):
    """py-spy did not run; the message has what it said."""


def profiled(contender: Contender, seconds: float, py_spy: list[str], stacks: Path) -> tuple[Counter[str], float, int]:
    """Loads a server while it is sampled.

    Returns:
        Samples of each stack; the CPU that the server used, in microseconds a request; and the requests meanwhile.
    """
    command = [
        *py_spy,
        "record",
        "--pid",
        str(contender.server.process.pid),
        "--subprocesses",
        "--gil",
        # A thread that is stopped for a sample is stopped in a system call more often than it is in one.
        "--nonblocking",
        "--rate",
        str(_SAMPLES_PER_S),
        "--duration",
        str(round(seconds)),
        "--format",
        "raw",
        "--output",
        str(stacks),
    ]
    load.run(contender.load, _START_S, each_once=contender.warm)
    with _running(command):
        before = cpu_seconds(contender.server.processes())
        measured = load.run(contender.load, seconds)
        used = cpu_seconds(contender.server.processes()) - before
    samples: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        samples[stack] += int(number)
    return samples, used / measured.requests * 1e6, measured.requests


@contextmanager
def _running(command: list[str]) -> Iterator[None]:
    """Runs the profiler beside the block, and waits for its end."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        yield
        output, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
    if process.returncode != 0:
        raise ProfilerFailed(output.strip())


def package_of(file: str) -> str:
    """Returns what a source file belongs to, a package of ours, of a library, or of Python."""
    parts = Path(file).with_suffix("").parts
    ours = next((number for number, part in enumerate(parts) if part.startswith("ridehail")), None)
    return "/".join(parts[ours : ours + 2]) if ours is not None else parts[0]


def by_place(samples: Counter[str]) -> tuple[Counter[str], Counter[str]]:
    """Returns the samples of each package and of each line, by the innermost frame of each stack."""
    packages: Counter[str] = Counter()
    lines: Counter[str] = Counter()
    for stack, number in samples.items():
        innermost = stack.rpartition(";")[2]
        frame = _FRAME.fullmatch(innermost)
        if frame is None:
            packages["no Python"] += number
            continue
        packages[package_of(frame["file"])] += number
        lines[f"{'/'.join(Path(frame['file']).parts[-2:])}:{frame['line']} {frame['function']}"] += number
    return packages, lines


def _profile(case: Case, name: str, harness: Harness, arguments: argparse.Namespace, report: Report) -> None:
    with case.contenders(harness) as contenders:
        stacks = arguments.folder / f"{name}.folded"
        samples, server_us, requests = profiled(contenders[0], arguments.seconds, shlex.split(arguments.py_spy), stacks)
    us = 1e6 / _SAMPLES_PER_S / requests
    packages, lines = by_place(samples)
    outside = server_us - samples.total() * us
    report.add(
        f"## {case.title}: {server_us:.0f} us of CPU a request, {outside:.0f} of it outside of Python",
        "",
        *table(
            ("package", "us"),
            [(place, f"{number * us:.1f}") for place, number in packages.most_common(arguments.lines)],
        ),
        "",
        *table(("line", "us"), [(place, f"{number * us:.1f}") for place, number in lines.most_common(arguments.lines)]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.profile", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"default: {' '.join(_USUAL)}")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--callers", type=int, default=32, help="requests under way at any time")
    parser.add_argument("--lines", type=int, default=25, help="rows of a table")
    parser.add_argument("--py-spy", default="py-spy", help="how to run it")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="keeps the filled tables for the next run")
    arguments = parser.parse_args()
    report = Report(arguments.folder / "profile.md")
    try:
        with tables(arguments.folder) as filled, tempfile.TemporaryDirectory(prefix="ridehail-load-") as folder:
            servers = Servers(Path(folder, "servers"), workers=1)
            harness = Harness(servers, filled, FULL_SIZE, (1, 1), arguments.callers, 50_000)
            for name in arguments.cases or _USUAL:
                _profile(CASES[name], name, harness, arguments, report)
    except (ToolMissing, NotStarted, load.LoadFailed, ProfilerFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
