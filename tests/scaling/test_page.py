"""docs/scaling.md and deploy/citus say what the schemas and the stated figures are."""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest
from psycopg import conninfo

from bench.capacity import CallCost, Capacity
from tests.scaling.markdown import with_blocks
from tests.scaling.page import written
from tests.support.shared_postgres import TEMPLATE


def test_what_is_made_is_up_to_date(postgres_url: str) -> None:
    with psycopg.connect(conninfo.make_conninfo(postgres_url, dbname=TEMPLATE)) as connection:
        stale = [path.name for path, text in written(connection).items() if path.read_text() != text]
    assert not stale, "run `make docs-scaling`"


def test_a_block_of_a_page_is_replaced_and_nothing_else() -> None:
    page = "a\n<!-- x -->\nold\n<!-- end of x -->\nb\n"
    assert with_blocks(page, {"x": "new\n"}) == "a\n<!-- x -->\nnew\n<!-- end of x -->\nb\n"
    with pytest.raises(AssertionError, match="where y begins"):
        with_blocks(page, {"y": ""})


ONE = Capacity(
    utilization=0.5,
    postgres_cores=64,
    replicas=1,
    calls={
        "Read": CallCost("a", a_second=0.1, server_us=1000, postgres_us=100, is_read=True),
        "Write": CallCost("b", a_second=0.05, server_us=2000, postgres_us=1000, is_read=False),
    },
)


def test_a_core_bears_as_many_riders_as_their_calls_take_of_it() -> None:
    # Half of a core is 500 000 us a second: a rider takes 200 of a server, and of Postgres 10 and 50.
    assert ONE.riders_per_server_core == pytest.approx(2_500)
    assert ONE.riders_per_postgres_core == pytest.approx(500_000 / 60)
    assert ONE.riders_per_core_of_schema == {"b": pytest.approx(10_000), "a": pytest.approx(50_000)}
    assert list(ONE.riders_per_core_of_schema) == ["b", "a"]


def test_replicas_take_their_share_of_reads_only() -> None:
    shared = replace(ONE, replicas=4).riders_per_core_with_replicas
    assert shared == {"a": pytest.approx(250_000), "b": pytest.approx(10_000)}
