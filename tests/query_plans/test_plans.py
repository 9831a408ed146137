"""What counts as growth, by plans as EXPLAIN prints them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.query_plans.plans import Node, growth

PREDICATES = {"open_idx": "(done IS NULL)"}


def scan(kind: str = "Index Scan", **more: Any) -> dict[str, Any]:  # what EXPLAIN prints
    return {
        "Node Type": kind,
        "Relation Name": "orders",
        "Alias": "orders",
        "Total Cost": 8,
        "Plan Rows": 1,
        **({} if kind == "Seq Scan" else {"Index Name": "orders_pkey"}),
        **more,
    }


def over(*kinds: str, below: Node) -> Node:
    for kind in reversed(kinds):
        below = {"Node Type": kind, "Plans": [below], "Plan Rows": 1, "Total Cost": 1}
    return below


DEEPER: dict[str, Any] = {"Total Cost": 9}
DEARER: dict[str, Any] = {"Total Cost": 800}
MORE_ROWS: dict[str, Any] = {"Plan Rows": 100}
MANY = {**DEARER, **MORE_ROWS}
OPEN: dict[str, Any] = {"Index Name": "open_idx", "Filter": "(orders.done IS NULL)"}
FIRST: dict[str, Any] = {"Parent Relationship": "InitPlan"}


@pytest.mark.parametrize(
    ("small", "large"),
    [
        (scan(), scan(**DEEPER)),
        (over("Limit", below=scan()), over("Limit", below=scan(**MANY))),
        (over("Limit", "LockRows", below=scan(**OPEN)), over("Limit", "LockRows", below=scan(**OPEN, **MANY))),
        (over("Sort", below={"Node Type": "CTE Scan"}), over("Sort", below={"Node Type": "CTE Scan", **MANY})),
        (scan("Seq Scan", Schema="pg_temp"), scan("Seq Scan", Schema="pg_temp", **MANY)),
    ],
    ids=["a deeper index", "an ordered scan to a limit", "a partial index to a limit", "no table", "a temporary table"],
)
def test_a_bounded_scan_does_not_grow(small: Node, large: Node) -> None:
    assert not growth(small, large, PREDICATES)


@pytest.mark.parametrize(
    ("small", "large", "said"),
    [
        (scan("Seq Scan"), scan("Seq Scan"), "reads the whole table"),
        (scan(), scan(**MORE_ROWS), "grows 100 times"),
        (scan(), scan(**DEARER), "grows 100 times"),
        (over("Limit", "Sort", below=scan()), over("Limit", "Sort", below=scan(**MANY)), "grows 100 times"),
        (over("Limit", below=scan(Filter="x")), over("Limit", below=scan(Filter="x", **MANY)), "by its filter x"),
        (
            over("Limit", below=scan(Plans=[scan(**FIRST)])),
            over("Limit", below=scan(Plans=[scan(**FIRST, **MANY)])),
            "grows 100 times",
        ),
        (scan(), scan("Seq Scan"), "another plan"),
    ],
    ids=["a whole table", "rows", "cost", "a sort", "a filter to a limit", "a sub-select in a limited one", "plans"],
)
def test_what_grows_is_found(small: Node, large: Node, said: str) -> None:
    (found,) = growth(small, large, PREDICATES)
    assert said in found
