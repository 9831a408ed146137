"""With its tables distributed by their keys, a statement needs one partition of 16; see docs/scaling.md."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import psycopg
import pytest

from tests.query_plans import filled_tables
from tests.query_plans.statements import StoreMethod, store_methods
from tests.scaling.exceptions import FAN_OUT, TWO_KEYS, reason_for
from tests.scaling.partitioned_copy import PARTITIONS, partition
from tests.scaling.placement import placements
from tests.scaling.sample_rows import Filling, insert_rows
from tests.scaling.table_rules import TableRules, distributed_tables
from tests.scaling.touched import Touched, connected, touched_by
from tests.support.databases import SCHEMAS, cloned_database
from tests.support.shared_postgres import TEMPLATE

_TABLES = """
    SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname = ANY(%s) AND tablename !~ 'yoyo|^procrastinate_'
"""

# A method that calls the one with the statements.
METHODS = [method for method in store_methods() if not method.name.startswith("_")]


@dataclass(frozen=True, slots=True)
class Distributed:
    """A migrated database, and what its statements touch once it is partitioned."""

    tables: set[tuple[str, str]]
    rules: Sequence[TableRules]
    touched: Mapping[StoreMethod, Sequence[Touched]]


@pytest.fixture(scope="module")
async def distributed(postgres_url: str) -> AsyncIterator[Distributed]:
    with cloned_database(postgres_url, TEMPLATE) as url, psycopg.connect(url, autocommit=True) as connection:
        filled_tables.drop_checks(connection)
        tables = set(connection.execute(_TABLES, (list(SCHEMAS),)).fetchall())
        rules = distributed_tables(connection)
        partitions = partition(connection, rules)
        yield Distributed(tables, rules, await _touched(url, connection, partitions))


async def _touched(
    url: str, owner: psycopg.Connection, partitions: Mapping[str, str]
) -> Mapping[StoreMethod, Sequence[Touched]]:
    touched: dict[StoreMethod, dict[str, Touched]] = {method: {} for method in METHODS}
    async with AsyncExitStack() as stack:
        connections = {
            schema: await stack.enter_async_context(connected(url, schema))
            for schema in {method.schema for method in METHODS}
        }
        for filling in Filling:
            insert_rows(owner, filling)
            # Of exceptions one filling shows enough.
            for method in METHODS if filling is Filling.FULL else filter(_is_checked, METHODS):
                for text, one in (await touched_by(connections[method.schema], method, partitions)).items():
                    touched[method].setdefault(text, Touched()).add(one)
    return {method: list(found.values()) for method, found in touched.items()}


def _is_checked(method: StoreMethod) -> bool:
    return reason_for(method.short_name, FAN_OUT) is None


def test_every_table_has_its_place(distributed: Distributed) -> None:
    assert placements().keys() == distributed.tables


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_a_statement_touches_one_partition(distributed: Distributed, method: StoreMethod) -> None:
    reason = reason_for(method.short_name, FAN_OUT)
    for statement in distributed.touched[method]:
        unreached = [table for table, found in statement.read.items() if not found]
        assert reason or not unreached, f"nothing is known of {unreached}: give the sample rows what leads there"
        assert reason or statement.most <= 1, f"it touches {statement.read}: name the key, or say why not in FAN_OUT"


@pytest.mark.parametrize("method", METHODS, ids=str)
def test_the_rows_of_a_statement_lie_together(distributed: Distributed, method: StoreMethod) -> None:
    if reason_for(method.short_name, TWO_KEYS):
        return
    for statement in distributed.touched[method]:
        keys = {placements()[_split(table)].key for table in statement.tables}
        assert len(keys) <= 1, f"its tables have the keys {keys}: say why in TWO_KEYS"


def test_every_exception_is_one(distributed: Distributed) -> None:
    fans_out, has_two_keys = set(), set()
    for method, statements in distributed.touched.items():
        names = {method.short_name, method.store.__name__}
        for statement in statements:
            if statement.most > 1 or not all(statement.read.values()):
                fans_out |= names
            if len({placements()[_split(table)].key for table in statement.tables}) > 1:
                has_two_keys |= names
    assert fans_out >= FAN_OUT.keys()
    assert has_two_keys >= TWO_KEYS.keys()


def test_a_partition_is_what_the_count_of_them_says(distributed: Distributed) -> None:
    """The check would find nothing if statements without a key did not touch all partitions."""
    (sweep,) = (it for method, (it, *_) in _statements(distributed) if method.short_name == "EulasStore.count_expired")
    assert sweep.most == PARTITIONS


def _statements(distributed: Distributed) -> Iterator[tuple[StoreMethod, Sequence[Touched]]]:
    yield from distributed.touched.items()


def _split(name: str) -> tuple[str, str]:
    schema, _, table = name.partition(".")
    return schema, table
