"""The peak of the whole suite on this one machine.

    python -m bench.peak [--seconds S] [--step-seconds S] [--factor X] [--workers N] [--checkout FOLDER] [--quick]

It is an open loop: calls are sent when they are due, however slow responses are, and timed from then. All services run
in one server, or in as many as `--workers` says, beside Postgres and the load generator. After the peak the rate is
raised until responses become late or calls fail: the knee.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ridehail_servers import suite
from ridehail_servers.chassis.keys import KeyRing

from . import open_loop
from .cpu import MachineCpu, cpu_seconds, is_noisy
from .go_programs import ToolMissing, built
from .load import LoadFailed
from .open_loop import Event, quantile
from .peak_traffic import KINDS, SWITCHES_PER_S, PeakTraffic
from .report import Report, table
from .servers import NotStarted, Running, Servers
from .tables import FULL_SIZE, Tables, switchable, tables

_FOLDER = Path(__file__).parents[1] / "build" / "bench"
_MAX_P99_MS = 100.0
_WARM_UP_S = 3.0
_MAX_FACTOR = 16.0
# The knee is found to within this much of the peak.
_PRECISION = 0.125
_RESTING_S = 2.0


@dataclass(frozen=True)
class KindFigures:
    """How the calls of one kind went, in milliseconds from when they were due."""

    calls_per_s: float
    p50: float
    p99: float
    p999: float
    errors: Counter[str]


@dataclass(frozen=True)
class Step:
    """What a multiple of the peak did; cores are those in use on average."""

    factor: float
    kinds: dict[str, KindFigures]
    server_cores: float
    postgres_cores: float
    generator_cores: float
    other_cores: float

    @property
    def holds(self) -> bool:
        return all(kind.p99 <= _MAX_P99_MS and not kind.errors for kind in self.kinds.values())


class PeakLoad:
    """Sends multiples of the peak to a server."""

    def __init__(self, traffic: PeakTraffic, server: Running, filled: Tables, url: str, folder: Path) -> None:
        self._traffic = traffic
        self._server = server
        self._filled = filled
        self._url = url
        self._folder = folder

    async def run(self, factor: float, seconds: float) -> Step:
        """Sends `factor` times the peak; what has not ended afterwards is waited for."""
        orders = switchable(self._url, round(SWITCHES_PER_S * factor * seconds) + 1)
        streams = self._traffic.streams(factor, seconds, orders)
        before, machine, generator = self._used(), MachineCpu(), _generator_seconds()
        events = await open_loop.run(streams, seconds, self._folder)
        busy = machine.busy_cores()
        server, postgres = (
            (after - earlier) / machine.seconds for after, earlier in zip(self._used(), before, strict=True)
        )
        generated = (_generator_seconds() - generator) / machine.seconds
        return Step(
            factor,
            {kind: _judged(events[kind], seconds) for kind in KINDS},
            server_cores=server,
            postgres_cores=postgres,
            generator_cores=generated,
            other_cores=max(0.0, busy - server - postgres - generated),
        )

    async def knee(self, first: Step, seconds: float) -> list[Step]:
        """Returns steps of more and more of the peak, or less, the last ones around the knee."""
        steps = [first]
        holds, fails = (first.factor, 0.0) if first.holds else (0.0, first.factor)
        while (fails == 0 and holds < _MAX_FACTOR) or fails - holds > _PRECISION:
            await asyncio.sleep(_RESTING_S)
            step = await self.run(2 * holds if fails == 0 else (holds + fails) / 2, seconds)
            steps.append(step)
            holds, fails = (step.factor, fails) if step.holds else (holds, step.factor)
        return steps

    def _used(self) -> tuple[float, float]:
        return cpu_seconds(self._server.processes()), cpu_seconds(self._filled.processes())


def _generator_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _judged(events: Sequence[Event], seconds: float) -> KindFigures:
    errors = Counter(event.reason or event.code for event in events if not event.is_acknowledged)
    late = [1000 * (event.done - event.due) for event in events if event.is_acknowledged]
    p50, p99, p999 = (quantile(late, share) for share in (0.5, 0.99, 0.999))
    return KindFigures(len(events) / seconds, p50, p99, p999, errors)


async def run(load: PeakLoad, arguments: argparse.Namespace, report: Report) -> None:
    await load.run(arguments.factor, _WARM_UP_S)
    peak = await load.run(arguments.factor, arguments.seconds)
    report.add(
        f"## {arguments.factor:g} x the peak, {arguments.seconds:.0f} s", "", *_kinds_table(peak), "", _cores(peak)
    )
    if arguments.step_seconds:
        steps = await load.knee(peak, arguments.step_seconds)
        knee = max((step.factor for step in steps if step.holds), default=0.0)
        report.add(
            f"## The knee: {knee:.3g} times the peak (p99 of every kind <= {_MAX_P99_MS:.0f} ms, no errors)",
            "",
            *_steps_table(sorted(steps, key=lambda step: step.factor)),
        )


def _kinds_table(step: Step) -> list[str]:
    rows = [
        (
            name,
            f"{kind.calls_per_s:,.0f}",
            " ".join(f"{reason} {number}" for reason, number in kind.errors.most_common()) or "0",
            *(f"{ms:.1f}" for ms in (kind.p50, kind.p99, kind.p999)),
        )
        for name, kind in step.kinds.items()
    ]
    return table(("", "calls/s", "errors", "p50 ms", "p99 ms", "p99.9 ms"), rows)


def _cores(step: Step) -> str:
    return (
        f"Cores in use: server {step.server_cores:.2f}, Postgres {step.postgres_cores:.2f}, "
        f"load generator {step.generator_cores:.2f}, others {step.other_cores:.2f}"
        f"{': too noisy to tell anything.' if is_noisy(step.other_cores) else '.'}"
    )


def _steps_table(steps: Sequence[Step]) -> list[str]:
    columns = (
        "x peak",
        *(f"{kind} p99 ms" for kind in KINDS),
        "errors",
        "server cores",
        "postgres",
        "generator",
        "others",
    )
    return table(
        columns,
        [
            (
                f"{step.factor:.3g}",
                *(f"{step.kinds[kind].p99:.0f}" for kind in KINDS),
                str(sum(kind.errors.total() for kind in step.kinds.values())),
                f"{step.server_cores:.2f}",
                f"{step.postgres_cores:.2f}",
                f"{step.generator_cores:.2f}",
                f"{step.other_cores:.2f}",
            )
            for step in steps
        ],
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="bench.peak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the peak")
    parser.add_argument("--step-seconds", type=float, default=15.0, help="length of each step to the knee; 0: none")
    parser.add_argument("--factor", type=float, default=1.0, help="multiple of the peak to begin with")
    parser.add_argument("--workers", type=int, default=1, help="processes of the server")
    parser.add_argument("--folder", type=Path, default=_FOLDER, help="keeps the filled tables for the next run")
    parser.add_argument(
        "--checkout", type=Path, help="has the servers to measure, with their .venv, instead of this one"
    )
    parser.add_argument("--single-checks", action="store_true", help="call CheckEulas: older servers have no batches")
    parser.add_argument("--quick", action="store_true", help="see that it works: tiny tables, a second of little load")
    arguments = parser.parse_args()
    orders = FULL_SIZE
    if arguments.quick:
        orders, arguments.factor, arguments.seconds, arguments.step_seconds = 1_000, 0.05, 1.0, 0.0
    services = [name for name in suite.SERVICES if name != suite.AUTHORIZER]
    schemas = [schema for name in services if (schema := suite.SERVICES[name].schema)]
    try:
        built("loadgen")
        with tables(arguments.folder) as filled, tempfile.TemporaryDirectory(prefix="ridehail-peak-") as folder:
            url, eulas_url = filled.peak(orders, schemas), filled.agreements(orders)
            servers = Servers(Path(folder, "servers"), workers=arguments.workers, checkout=arguments.checkout)
            with servers.ridehail(*services, database_url=url, RIDEHAIL_DATABASE_URL_EULAS=eulas_url) as server:
                keys = KeyRing(servers.folder / "keys" / "tickets")
                traffic = PeakTraffic(
                    server.address, keys, orders=orders, users=orders, single_checks=arguments.single_checks
                )
                load = PeakLoad(traffic, server, filled, url, servers.folder)
                asyncio.run(run(load, arguments, Report(arguments.folder / "peak.md")))
    except (ToolMissing, NotStarted, LoadFailed) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
