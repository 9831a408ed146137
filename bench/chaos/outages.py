"""Outages of the database, of every kind, rate and duration, against each service.

An episode is one outage for several services at the same time, each at another rate and behind a proxy of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import signal
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import open_loop
from bench.open_loop import Event, Events, Stream
from tests.support.tcp_proxy import Mode

from .calls import WORKLOADS, Calls, Journal, Keys, Workload, settled
from .outage_cases import ALL, RECOVERY_S, OutageCase, case_of, summarize, write_cases
from .report import ChaosReport, Effort
from .stack import Stack, running_stack

PART = "outages"

_RATES = (20, 50, 150, 300)
_DURATIONS_S = (0.3, 2.0, 8.0)
_BEFORE_S = 0.6
_AFTER_S = 3.5
_BASELINE_S = 3.0
# Postgres goes through its log after kill -9 before it accepts connections.
_RESTART_S = 2.5
_PROBES, _PROBE_RATE = 60, 20
_TASKS_WITHIN_S = 90.0

Rates = dict[str, int]
"""Service -> calls a second."""


@dataclass(frozen=True)
class OutageKind:
    """How a database fails. `end` returns once the database can be reached again, at most `extra_s` later."""

    name: str
    begin: Callable[[Stack], None]
    end: Callable[[Stack], None]
    extra_s: float = 0.0


def _mode(mode: Mode, delay_s: float = 0.0) -> Callable[[Stack], None]:
    def change(stack: Stack) -> None:
        for proxy in stack.proxies.values():
            proxy.set(mode, delay_s=delay_s)

    return change


def _signal(number: signal.Signals) -> Callable[[Stack], None]:
    return lambda stack: stack.postgres.signal(number)


KINDS = (
    OutageKind("refused", _mode(Mode.REFUSE), _mode(Mode.PASS)),
    OutageKind("reset", _mode(Mode.RESET), _mode(Mode.PASS)),
    OutageKind("packets dropped", _mode(Mode.BLACKHOLE), _mode(Mode.PASS)),
    OutageKind("Postgres stopped (SIGSTOP)", _signal(signal.SIGSTOP), _signal(signal.SIGCONT)),
    OutageKind(
        "Postgres killed", lambda stack: stack.postgres.kill(), lambda stack: stack.postgres.start(), _RESTART_S
    ),
    OutageKind("slow by 40 ms", _mode(Mode.PASS, 0.02), _mode(Mode.PASS)),
    OutageKind("slow by 400 ms", _mode(Mode.PASS, 0.2), _mode(Mode.PASS)),
)


def groups(at_once: int) -> Iterator[Rates]:
    """Yields services with rates, `at_once` (up to ten) each time, until each service has had each rate once."""
    names = list(WORKLOADS)
    pairs = [
        (name, _RATES[(number + turn) % len(_RATES)])
        for turn in range(len(_RATES))
        for number, name in enumerate(names)
    ]
    for start in range(0, len(pairs), at_once):
        yield dict(pairs[start : start + at_once])


class _Campaign:
    def __init__(self, stack: Stack, folder: Path, report: ChaosReport) -> None:
        self._stack = stack
        self._folder = folder
        self._report = report
        self._keys = Keys()
        self._journals: dict[str, Journal] = defaultdict(Journal)
        self._tasks: dict[str, Journal] = defaultdict(Journal)
        self.failures: dict[str, Counter[str]] = defaultdict(Counter)
        self.cases: list[OutageCase] = []
        self.restarts = 0

    async def baseline(self, rates: Rates) -> None:
        """Makes the same calls without an outage: what fails then does not count."""
        events = await self._run(rates, _BASELINE_S)
        failures: Counter[str] = Counter()
        for name, those in events.items():
            failures.update(f"{name} {event.reason or event.code}" for event in those if not event.is_good)
        every = [event for those in events.values() for event in those]
        slow = open_loop.quantile((event.seconds for event in every), 0.99)
        figures = {"calls": len(every), "failed": failures.total(), "p99 ms": 1000 * slow}
        note = ", ".join(f"{name} {count}" for name, count in failures.most_common(3))
        self._report.add(PART, "no outage, for comparison", figures, note=note)

    async def episode(self, kind: OutageKind, duration_s: float, rates: Rates) -> None:
        """Breaks the databases of some services once, and restarts those that stay dead."""
        running = asyncio.create_task(self._run(rates, _BEFORE_S + duration_s + _AFTER_S + kind.extra_s))
        await asyncio.sleep(_BEFORE_S)
        began = time.time()
        await asyncio.to_thread(kind.begin, self._stack)
        await asyncio.sleep(duration_s)
        await asyncio.to_thread(kind.end, self._stack)
        healed = time.time()
        events = {service: _of_service(await running, service) for service in rates}
        for event in itertools.chain.from_iterable(events.values()):
            if event.sent >= began and not event.is_good and not healed <= event.sent < healed + RECOVERY_S:
                self.failures[kind.name if event.sent < healed else ALL][event.reason or event.code] += 1
        first = {name: case_of(kind.name, duration_s, (name, rates[name]), healed, events[name]) for name in rates}
        missing = [name for name, case in first.items() if case.dead]
        probes = await self._run_probes(missing)
        for name, case in first.items():
            every = [*events[name], *probes.get(name, ())]
            self.cases.append(case_of(kind.name, duration_s, (name, rates[name]), healed, every) if case.dead else case)
        dead = {self._stack.group_of(case.service) for case in self.cases[-len(rates) :] if case.dead}
        if dead:  # it would be dead in every later episode as well
            self.restarts += len(dead)
            await asyncio.to_thread(self._stack.restart, dead)

    async def _run(self, rates: Rates, seconds: float) -> Events:
        streams: list[Stream] = []
        journals: dict[str, tuple[Journal | None, list[str]]] = {}
        for service, rate in rates.items():
            left = float(rate)
            for calls, share, journal in self._shares(WORKLOADS[service]):
                own = min(left * share, calls.max_rate)
                left -= own
                numbers = self._keys.take(max(1, math.ceil(own * seconds)))
                stream = calls.stream(self._stack.addresses[service], self._stack.server_folder.keys, numbers, own)
                streams.append(stream)
                journals[stream.name] = journal, numbers
        events = await open_loop.run(streams, seconds, self._folder)
        for name, (journal, numbers) in journals.items():
            if journal is not None:
                journal.note(numbers, events[name])
        return events

    def _shares(self, workload: Workload) -> Iterator[tuple[Calls, float, Journal | None]]:
        """Yields calls, their share of the rate that is left, and the journal of what they write."""
        service = workload.write.service
        if workload.task is not None:
            yield workload.task, 0.2, self._tasks[service]
        yield workload.write, 0.5 if workload.read else 1.0, self._journals[service]
        if workload.read is not None:
            yield workload.read, 1.0, None

    async def _run_probes(self, services: Sequence[str]) -> Events:
        if not services:
            return {}
        events = await self._run(dict.fromkeys(services, _PROBE_RATE), _PROBES / _PROBE_RATE)
        return {service: _of_service(events, service) for service in services}

    async def judge_writes(self) -> None:
        """Compares what was acknowledged with what the database has."""
        queries = {name: (workload.written, workload.done) for name, workload in WORKLOADS.items()}
        for number, (what, journals) in enumerate(
            (("acknowledged writes", self._journals), ("acknowledged background tasks", self._tasks))
        ):
            total: Counter[str] = Counter()
            for service, journal in journals.items():
                total.update(await self._settled(journal, queries[service][number]))
            kept = total["lost"] == 0 and total["doubled"] == 0
            figures = {name: total[name] for name in ("acknowledged", "lost", "doubled")}
            case = f"{what} of {len(journals)} services"
            self._report.add(PART, case, figures, promise="0 lost, 0 doubled", kept=kept)

    async def _settled(self, journal: Journal, query: str) -> dict[str, int]:
        return await settled(journal, self._stack.postgres.url, query, within_s=_TASKS_WITHIN_S)


def _of_service(events: Events, service: str) -> list[Event]:
    found = itertools.chain.from_iterable(those for name, those in events.items() if name.split()[0] == service)
    return sorted(found, key=lambda event: event.sent)


async def run(report: ChaosReport, folder: Path, effort: Effort) -> None:
    """Quick: one group of services and the shorter outages."""
    durations = _DURATIONS_S[:2] if effort.quick else _DURATIONS_S
    rotation = list(groups(effort.at_once))[: 1 if effort.quick else None]
    with running_stack(folder) as stack:
        campaign = _Campaign(stack, folder, report)
        try:
            await campaign.baseline(rotation[0])
            episodes = list(itertools.product(rotation, KINDS, durations))
            ends = time.monotonic() + 60 * effort.outage_minutes
            for number, (rates, kind, duration_s) in enumerate(episodes):
                if time.monotonic() > ends:
                    report.add(PART, "out of time", {"episodes skipped": len(episodes) - number})
                    break
                await campaign.episode(kind, duration_s, rates)
                late = [case for case in campaign.cases[-len(rates) :] if case.is_late]
                names = ", ".join(f"{case.service} at {case.rate}/s {case.recovery_s:.1f} s" for case in late)
                print(f"  {kind.name} {duration_s} s: {names or f'all back within {RECOVERY_S} s'}", flush=True)
            await campaign.judge_writes()
        finally:
            if campaign.cases:
                summarize(report, PART, campaign.cases, campaign.failures)
                write_cases(campaign.cases, report.folder / "outages.csv")
                if campaign.restarts:
                    report.add(PART, "servers that had to be restarted", {"times": campaign.restarts})
