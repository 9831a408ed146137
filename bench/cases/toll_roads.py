"""Lookups of roads."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.case import RETRIEVE, Case, against_fastapi, against_null, one_order
from bench.comparison import Contender, Goal, Round
from bench.harness import Harness
from ridehail.tollroads.v1 import toll_roads_api_pb2 as api

_BATCH_RETRIEVE = "/ridehail.tollroads.v1.TollRoadsService/BatchRetrieveOrders"
_BATCH = 100


@contextmanager
def _retrieve_order(harness: Harness) -> Iterator[Sequence[Contender]]:
    url = harness.tables.database(harness.orders)
    with (
        harness.servers.ridehail("toll-roads", database_url=url) as ours,
        harness.servers.ridehail("toll-roads", database_url=url, RIDEHAIL_TRANSPORT="grpcio") as by_grpcio,
        harness.servers.fastapi("fastapi_toll_roads", database_url=url) as fastapi,
        harness.servers.grpc_go(database_url=url) as compiled,
        harness.servers.null("bare") as bare,
        harness.servers.null("chassis") as chassis,
    ):
        yield (
            harness.contender("ridehail", ours, RETRIEVE, one_order),
            harness.contender("ridehail by grpcio", by_grpcio, RETRIEVE, one_order),
            harness.contender("fastapi", fastapi, "/toll-roads/v1/order/retrieve", _one_order_as_json),
            harness.contender("grpc-go + pgx", compiled, RETRIEVE, one_order),
            harness.contender("null handler", bare, RETRIEVE, one_order),
            harness.contender("null + chassis", chassis, RETRIEVE, one_order),
        )


def _one_order_as_json(some_order: Callable[[], str]) -> bytes:
    return json.dumps({"order_id": some_order()}).encode()


@contextmanager
def _batches(harness: Harness) -> Iterator[Sequence[Contender]]:
    with harness.servers.ridehail("toll-roads", database_url=harness.tables.database(harness.orders)) as ours:
        yield (
            harness.contender("single calls", ours, RETRIEVE, one_order),
            harness.contender(
                "batches", ours, _BATCH_RETRIEVE, _many_orders, orders_per_request=_BATCH, messages=2_000
            ),
        )


def _many_orders(some_order: Callable[[], str]) -> bytes:
    return api.BatchRetrieveOrdersRequest(order_ids=[some_order() for _ in range(_BATCH)]).SerializeToString()


@contextmanager
def _table_sizes(harness: Harness) -> Iterator[Sequence[Contender]]:
    small, large = harness.sizes
    with (
        harness.servers.ridehail("toll-roads", database_url=harness.tables.database(small)) as few,
        harness.servers.ridehail("toll-roads", database_url=harness.tables.database(large)) as many,
    ):
        yield (
            harness.contender(f"{small:,} orders", few, RETRIEVE, one_order, orders=small),
            harness.contender(f"{large:,} orders", many, RETRIEVE, one_order, orders=large),
        )


def _growth(figures: Round) -> float:
    small, large = (one.server_us + one.postgres_us for one in figures.values())
    return large / small


CASES = {
    "retrieve": Case(
        "RetrieveOrder, one random order a call",
        _retrieve_order,
        (
            against_fastapi(2.0),
            against_null(0.8),
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
