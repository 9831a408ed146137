"""What is measured, and the ratios that it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads

from .comparison import Contender, Goal
from .harness import Harness

RETRIEVE = "/ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
"""What null handlers serve."""


@dataclass(frozen=True)
class Case:
    """Something to measure: what `contenders` starts runs for the length of the block."""

    title: str
    contenders: Callable[[Harness], AbstractContextManager[Sequence[Contender]]]
    goals: Sequence[Goal]


def one_order(some_order: Callable[[], str]) -> bytes:
    return toll_roads.RetrieveOrderRequest(order_id=some_order()).SerializeToString()


def against_fastapi(target: float) -> Goal:
    return Goal(
        "requests/s, ridehail / fastapi",
        lambda by: by["ridehail"].requests_per_s / by["fastapi"].requests_per_s,
        target,
        at_least=True,
    )


def against_null(target: float) -> Goal:
    return Goal(
        "server CPU a request, ridehail / null handler",
        lambda by: by["ridehail"].server_us / by["null handler"].server_us,
        target,
        at_least=False,
    )
