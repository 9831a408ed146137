"""Contenders that do the same work in turns, and what each of them takes for it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

import psutil

from . import load
from .servers import Running


@dataclass(frozen=True)
class Contender:
    """A server, its load, and how many orders one request looks up."""

    name: str
    server: Running
    load: load.Load
    orders: int = 1


@dataclass(frozen=True)
class Figures:
    """What one contender takes. CPU is that of all processes, in microseconds a request."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float
    server_us: float
    postgres_us: float
    generator_us: float


@dataclass(frozen=True)
class Goal:
    """A ratio that must be at least, or at most, `target`."""

    text: str
    ratio: Callable[[Mapping[str, Figures]], float]
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
) -> dict[str, Figures]:
    """Returns the medians over the rounds. In each round every contender has its turn, so noise hits all alike."""
    for contender in contenders:
        load.run(contender.load, schedule.warm_up_s)
    turns: dict[str, list[Figures]] = {contender.name: [] for contender in contenders}
    for _ in range(schedule.rounds):
        for contender in contenders:
            turns[contender.name].append(_turn(contender, schedule.seconds, postgres))
    return {name: _medians(figures) for name, figures in turns.items()}


def _turn(contender: Contender, seconds: float, postgres: Callable[[], Sequence[psutil.Process]]) -> Figures:
    server_before, postgres_before = _cpu_seconds(contender.server.processes()), _cpu_seconds(postgres())
    measured = load.run(contender.load, seconds)
    server_after, postgres_after = _cpu_seconds(contender.server.processes()), _cpu_seconds(postgres())
    return Figures(
        requests_per_s=measured.requests / measured.seconds,
        p50_ms=measured.p50_ms,
        p99_ms=measured.p99_ms,
        server_us=(server_after - server_before) / measured.requests * 1e6,
        postgres_us=(postgres_after - postgres_before) / measured.requests * 1e6,
        generator_us=measured.cpu_seconds / measured.requests * 1e6,
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
