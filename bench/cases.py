"""The cases. A new one is a function that starts its servers and yields who competes, and an entry in `CASES`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads

from .comparison import Contender, Figures, Goal
from .world import World

_RETRIEVE = "/ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
_BATCH_RETRIEVE = "/ridehail.tollroads.v1.TollRoadsService/BatchRetrieveOrders"
_BATCH = 100


@dataclass(frozen=True)
class Case:
    """Something to measure.

    Attributes:
        title: What is done.
        contenders: Starts the servers for the length of the block.
        goals: What it is about.
    """

    title: str
    contenders: Callable[[World], AbstractContextManager[Sequence[Contender]]]
    goals: Sequence[Goal]


def _one_order(some_order: Callable[[], str]) -> bytes:
    return toll_roads.RetrieveOrderRequest(order_id=some_order()).SerializeToString()


def _many_orders(some_order: Callable[[], str]) -> bytes:
    return toll_roads.BatchRetrieveOrdersRequest(order_ids=[some_order() for _ in range(_BATCH)]).SerializeToString()


def _one_order_as_json(some_order: Callable[[], str]) -> bytes:
    return json.dumps({"order_id": some_order()}).encode()


@contextmanager
def _retrieve_order(world: World) -> Iterator[Sequence[Contender]]:
    url = world.tables.database(world.orders)
    with (
        world.servers.ridehail("toll-roads", database_url=url) as ours,
        world.servers.fastapi(database_url=url) as fastapi,
        world.servers.null("bare") as bare,
        world.servers.null("chassis") as chassis,
    ):
        yield (
            world.contender("ridehail", ours, _RETRIEVE, _one_order),
            world.contender("fastapi", fastapi, "/toll-roads/v1/order/retrieve", _one_order_as_json),
            world.contender("null handler", bare, _RETRIEVE, _one_order),
            world.contender("null + chassis", chassis, _RETRIEVE, _one_order),
        )


@contextmanager
def _batches(world: World) -> Iterator[Sequence[Contender]]:
    with world.servers.ridehail("toll-roads", database_url=world.tables.database(world.orders)) as ours:
        yield (
            world.contender("single calls", ours, _RETRIEVE, _one_order),
            world.contender("batches", ours, _BATCH_RETRIEVE, _many_orders, orders_per_request=_BATCH, messages=2_000),
        )


@contextmanager
def _table_sizes(world: World) -> Iterator[Sequence[Contender]]:
    small, large = world.sizes
    with (
        world.servers.ridehail("toll-roads", database_url=world.tables.database(small)) as few,
        world.servers.ridehail("toll-roads", database_url=world.tables.database(large)) as many,
    ):
        yield (
            world.contender(f"{small:,} orders", few, _RETRIEVE, _one_order, orders=small),
            world.contender(f"{large:,} orders", many, _RETRIEVE, _one_order, orders=large),
        )


def _growth(figures: Mapping[str, Figures]) -> float:
    small, large = (one.server_us + one.postgres_us for one in figures.values())
    return large / small


CASES = {
    "retrieve": Case(
        "RetrieveOrder, one random order a call",
        _retrieve_order,
        (
            Goal(
                "requests/s, ridehail / fastapi",
                lambda by: by["ridehail"].requests_per_s / by["fastapi"].requests_per_s,
                1.3,
                at_least=True,
            ),
            Goal(
                "server CPU a request, ridehail / null handler",
                lambda by: by["ridehail"].server_us / by["null handler"].server_us,
                1.8,
                at_least=False,
            ),
        ),
    ),
    "batch": Case(
        f"BatchRetrieveOrders of {_BATCH} against single calls",
        _batches,
        (
            Goal(
                "orders/s, batches / single calls",
                lambda by: by["batches"].requests_per_s * _BATCH / by["single calls"].requests_per_s,
                20,
                at_least=True,
            ),
        ),
    ),
    "sizes": Case(
        "RetrieveOrder on small and on large tables",
        _table_sizes,
        (Goal("CPU of server and Postgres a request, large / small", _growth, 1.1, at_least=False),),
    ),
}
