"""Contenders that do the same work in turns, and what each of them takes for it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import psutil

from . import load
from .cpu import MachineCpu, cpu_seconds
from .servers import Running


@dataclass(frozen=True)
class Contender:
    """A server and its load.

    Attributes:
        orders: How many orders one request looks up.
        dependencies: Servers that it calls.
        warm: Whether it is warm only after each of its messages has been sent once.
    """

    name: str
    server: Running
    load: load.Load
    orders: int = 1
    dependencies: Sequence[Running] = ()
    warm: bool = False


@dataclass(frozen=True)
class Figures:
    """What one contender takes. CPU is that of all processes, in microseconds a request.

    Attributes:
        other_cores: What the rest of the machine used meanwhile: neither servers nor Postgres nor the load generator.
    """

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    server_us: float
    dependencies_us: float
    postgres_us: float
    generator_us: float
    other_cores: float


Round = Mapping[str, Figures]
"""The figures of each contender, by name."""


@dataclass(frozen=True)
class Goal:
    """A ratio that must be at least, or at most, `target`."""

    text: str
    ratio: Callable[[Round], float]
    target: float
    at_least: bool


@dataclass(frozen=True)
class Schedule:
    """Number and length of the turns of each contender, and the load before the first."""

    rounds: int
    seconds: float
    warm_up_s: float


def compare(
    contenders: Sequence[Contender], schedule: Schedule, postgres: Callable[[], Sequence[psutil.Process]]
) -> list[Round]:
    """Returns the rounds. In each every contender has its turn, so noise hits all alike."""
    for contender in contenders:
        load.run(contender.load, schedule.warm_up_s, each_once=contender.warm)
    return [
        {contender.name: _turn(contender, schedule.seconds, postgres) for contender in contenders}
        for _ in range(schedule.rounds)
    ]


def medians(rounds: Sequence[Round]) -> dict[str, Figures]:
    """Returns the median of each figure over the rounds."""
    return {name: _median([one[name] for one in rounds]) for name in rounds[0]}


def _turn(contender: Contender, seconds: float, postgres: Callable[[], Sequence[psutil.Process]]) -> Figures:
    def used() -> list[float]:
        dependencies = [process for running in contender.dependencies for process in running.processes()]
        return [cpu_seconds(processes) for processes in (contender.server.processes(), dependencies, postgres())]

    before, machine = used(), MachineCpu()
    measured = load.run(contender.load, seconds)
    busy_cores = machine.busy_cores()
    spent = [after - earlier for after, earlier in zip(used(), before, strict=True)]
    server_us, dependencies_us, postgres_us, generator_us = (
        one / measured.requests * 1e6 for one in (*spent, measured.cpu_seconds)
    )
    return Figures(
        requests_per_s=measured.requests / measured.seconds,
        p50_ms=measured.p50_ms,
        p99_ms=measured.p99_ms,
        server_us=server_us,
        dependencies_us=dependencies_us,
        postgres_us=postgres_us,
        generator_us=generator_us,
        other_cores=max(0.0, busy_cores - (sum(spent) + measured.cpu_seconds) / machine.seconds),
    )


def _median(figures: Sequence[Figures]) -> Figures:
    columns = zip(*map(astuple, figures), strict=True)
    return Figures(
        **{field.name: statistics.median(column) for field, column in zip(fields(Figures), columns, strict=True)}
    )
