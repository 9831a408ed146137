"""The cost of a statement does not grow with the tables: it reads no whole table, and no part that grows with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
import pytest

from tests.query_plans import filled_tables
from tests.query_plans.explained import Statement, explained
from tests.query_plans.plans import growth
from tests.query_plans.statements import OTHER_MODULES, PreparingCursor, StoreMethod, sites, store_methods
from tests.support.databases import cloned_database
from tests.support.shared_postgres import TEMPLATE

_BY_HAND = "counts what a job is about to do, for a dry run by hand"
_BATCHES = "a batch has thousands of rows; a job reads the list of batches once"
_CHANGED = "copies what has changed since the last copy, which may be anything"
_ARRAYS = "Postgres guesses that a part of all arrays has the phones, however many there are; few have"
_BOUNDED = "its table does not grow: old rows are deleted all the time"

_FEW = "agreements are written by people, and few"

GROWING: Mapping[str, str] = {
    "AdminStore.all_agreements": _FEW,
    "AdminStore.last_position": _FEW,
    "AdminStore.list_page": _FEW,
    "CatalogueStore.load": "reads all agreements when one has changed",
    "ComparisonStore.drop_old_counts": _BOUNDED,
    "ComparisonStore.drop_old_mismatches": _BOUNDED,
    "DocumentStore.list_page": _CHANGED,
    "EulasStore.count_expired": _BY_HAND,
    "InvalidPartStore.counts_since": _BOUNDED,
    "InvalidPartStore.delete_old_counts": _BOUNDED,
    "InvalidPartStore.delete_old_samples": _BOUNDED,
    "InvalidPartStore.drop_surplus_samples": "of each part it keeps as many samples as the configuration says",
    "InvalidPartStore.samples_since": _BOUNDED,
    "ResignStore.count_riders": "counts whom a change of an agreement would ask, up to a limit",
    "PurgeStore.count_archived": "counts what a purge has left, or has to do for a dry run",
    "PurgeStore.count_offers": _BY_HAND,
    "PurgeStore.count_orders_with_kept_changes": _BY_HAND,
    "PurgeStore.count_refused_saves": _BY_HAND,
    "PurgeStore.count_unarchived": "counts what is old and not in the archive: nothing, as long as the archive works",
    "PurgeStore.delete_empty_batches": _BATCHES,
    "PurgeStore.written_batches": _BATCHES,
    "ArchiveStore.count_due": _BY_HAND,
    "JobStore.open_jobs": "counts the jobs that go on: few, unless none ends",
    "ReportStore.report": _BOUNDED,
    "RouteSharingUserData.count_phone_of_insert_request": _ARRAYS,
    "RouteSharingUserData.erase_phone_of_insert_request": _ARRAYS,
    "StateStore.list_page": _CHANGED,
    "TaskStore.backlog": "counts the tasks that wait: few, unless there are no workers",
}
"""Method of a store -> why its cost may grow with the tables."""

_QUEUE = "procrastinate_"
_PREDICATES = """
    SELECT relname, pg_get_expr(indpred, indrelid) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indpred IS NOT NULL
"""
# The first columns of an index are those of the key, in whatever order.
_KEYS_WITHOUT_INDEX = """
    SELECT conrelid::regclass::text, conname
    FROM pg_constraint
    WHERE contype = 'f' AND NOT EXISTS (
        SELECT FROM pg_index
        WHERE indrelid = conrelid AND indpred IS NULL
            AND (indkey::smallint[])[0:cardinality(conkey) - 1] @> conkey
    )
"""


@dataclass(frozen=True, slots=True)
class Filled:
    """A filled database, and the statements that were explained in it."""

    url: str
    predicates: Mapping[str, str]
    statements: Mapping[StoreMethod, Sequence[Statement]]


@pytest.fixture(scope="module")
async def filled(postgres_url: str) -> AsyncIterator[Filled]:
    with cloned_database(postgres_url, TEMPLATE) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            filled_tables.fill(connection)
            filled_tables.drop_checks(connection)
            predicates: dict[str, str] = dict(connection.execute(_PREDICATES).fetchall())
        yield Filled(url, predicates, await explained(url))


@pytest.mark.parametrize("method", store_methods(), ids=str)
def test_the_cost_does_not_grow_with_the_tables(filled: Filled, method: StoreMethod) -> None:
    grows = [
        said
        for statement in filled.statements[method]
        for said in growth(statement.plans["small"], statement.plans["large"], filled.predicates)
    ]
    if method.short_name in GROWING:
        assert grows, f"{method.short_name} needs no reason any more: {GROWING[method.short_name]}"
    else:
        assert not grows, f"{grows}: add an index, or say in GROWING why it may grow"


def test_every_place_that_sends_a_statement_was_reached(filled: Filled) -> None:
    missed = {
        str(site)
        for site, lines in sites().items()
        if site.module not in OTHER_MODULES
        and not any(sent.module == site.module and sent.line in lines for sent in PreparingCursor.sent_from)
    }
    assert not missed, "statements belong into a store's methods, and each has to be reached by sample arguments"


def test_every_exception_is_of_a_method() -> None:
    assert GROWING.keys() <= {method.short_name for method in store_methods()}
    assert {site.module for site in sites()} >= OTHER_MODULES.keys()


def test_every_table_is_filled(filled: Filled) -> None:
    with psycopg.connect(filled.url) as connection:
        empty = {table for table in filled_tables.empty(connection) if _QUEUE not in table}
    assert not empty, "a plan says nothing about an empty table"


def test_what_refers_to_a_row_is_found_by_an_index(filled: Filled) -> None:
    with psycopg.connect(filled.url) as connection:
        assert not [row for row in connection.execute(_KEYS_WITHOUT_INDEX).fetchall() if _QUEUE not in row[0]]
