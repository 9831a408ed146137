"""Contenders that do the same work by turns, and what each of them takes for it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import psutil

from . import load
from .servers import Running


@dataclass(frozen=True)
class Contender:
    """A server and what it is asked.

    Attributes:
        name: As the table shows it.
        server: Who is asked.
        load: What.
        orders: How many orders one request looks up.
    """

    name: str
    server: Running
    load: load.Load
    orders: int = 1


@dataclass(frozen=True)
class Figures:
    """What one contender takes. CPU is that of all processes, in microseconds a request.

    Attributes:
        requests_per_s: With the callers that there were.
        p50_ms: The median time to the answer.
        p99_ms: 99 of 100 answers took no longer.
        server_us: CPU of the server.
        postgres_us: CPU of Postgres.
        generator_us: CPU of the load generator, which shares the machine.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    server_us: float
    postgres_us: float
    generator_us: float


@dataclass(frozen=True)
class Goal:
    """A ratio that a case is about.

    Attributes:
        text: What is divided by what.
        ratio: Computes it from the figures, by the contenders' names.
        target: What it is to reach ...
        at_least: ... from above (True) or from below (False).
    """

    text: str
    ratio: Callable[[Mapping[str, Figures]], float]
    target: float
    at_least: bool


@dataclass(frozen=True)
class Schedule:
    """How long to measure.

    Attributes:
        rounds: Turns of each contender.
        seconds: Length of a turn.
        warm_up_s: Load before the first turn.
    """

    rounds: int
    seconds: float
    warm_up_s: float


def compare(
    contenders: Sequence[Contender], schedule: Schedule, postgres: Callable[[], Sequence[psutil.Process]]
) -> dict[str, Figures]:
    """Returns the medians over the rounds. In each round all contenders have their turn, so noise hits all alike.

    Args:
        contenders: All of them run all the time; who is not asked takes next to nothing.
        schedule: How long to measure.
        postgres: Returns Postgres' processes.
    """
    for contender in contenders:
        load.run(contender.load, schedule.warm_up_s)
    turns: dict[str, list[Figures]] = {contender.name: [] for contender in contenders}
    for _ in range(schedule.rounds):
        for contender in contenders:
            turns[contender.name].append(_turn(contender, schedule.seconds, postgres))
    return {name: _medians(figures) for name, figures in turns.items()}


def _turn(contender: Contender, seconds: float, postgres: Callable[[], Sequence[psutil.Process]]) -> Figures:
    server_before, postgres_before = _cpu_seconds(contender.server.processes()), _cpu_seconds(postgres())
    seen = load.run(contender.load, seconds)
    server_after, postgres_after = _cpu_seconds(contender.server.processes()), _cpu_seconds(postgres())
    return Figures(
        requests_per_s=seen.requests / seen.seconds,
        p50_ms=seen.p50_ms,
        p99_ms=seen.p99_ms,
        server_us=(server_after - server_before) / seen.requests * 1e6,
        postgres_us=(postgres_after - postgres_before) / seen.requests * 1e6,
        generator_us=seen.cpu_seconds / seen.requests * 1e6,
    )


def _cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # one of Postgres' short-lived helpers
            continue
        total += times.user + times.system
    return total


def _medians(turns: Sequence[Figures]) -> Figures:
    columns = zip(*map(astuple, turns), strict=True)
    return Figures(
        **{field.name: statistics.median(column) for field, column in zip(fields(Figures), columns, strict=True)}
    )
