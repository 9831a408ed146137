"""What the plan of a statement says about its cost: whether that grows with the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Node = Mapping[str, Any]
"""A node of a plan, as EXPLAIN prints it in JSON."""

MAX_GROWTH = 3.0
"""How many times as much a scan of a hundred times larger table may cost: an index grows by a level."""

# They return their first row after they have read all of their input.
_READS_ALL = {"Sort", "Hash", "Aggregate", "SetOp", "Bitmap Heap Scan", "Bitmap Index Scan", "Materialize"}


@dataclass(frozen=True, slots=True)
class TableScan:
    """A scan of a stored table.

    Attributes:
        is_limited: Whether it ends as soon as a LIMIT has its rows.
        predicate: Which rows its index is about; empty: all.
    """

    node: Node
    is_limited: bool
    predicate: str

    @property
    def filter(self) -> str:
        """What it may skip rows by, without what its index is about anyway."""
        condition = str(self.node.get("Filter", "")).replace(f"{self.node.get('Alias')}.", "")
        return "" if condition == self.predicate else condition

    @property
    def what(self) -> tuple[str, str, str]:
        kind = str(self.node["Node Type"])
        return kind, str(self.node.get("Relation Name", "")), str(self.node.get("Index Name", ""))

    def __str__(self) -> str:
        kind, table, index = self.what
        using = f" by {index}" if index else ""
        return f"{kind}{f' of {table}' if table else ''}{using}"


def growth(small: Node, large: Node, predicates: Mapping[str, str]) -> list[str]:
    """Returns what of a plan grows with the tables.

    Args:
        small: The plan for small tables.
        large: The plan for tables that are a hundred times as large.
        predicates: Partial index -> which rows it is about.
    """
    scans, scans_before = list(_scans(large, predicates)), list(_scans(small, predicates))
    if [one.what for one in scans] != [one.what for one in scans_before]:
        return [f"another plan when tables are large: {_names(scans_before)} -> {_names(scans)}"]
    return [said for before, scan in zip(scans_before, scans, strict=True) if (said := _growth(before, scan))]


def _growth(before: TableScan, scan: TableScan) -> str | None:
    kind, _, _ = scan.what
    if kind == "Seq Scan":
        return f"{scan} reads the whole table"
    times = max(scan.node[figure] / max(before.node[figure], 1) for figure in ("Total Cost", "Plan Rows"))
    if times <= MAX_GROWTH:
        return None
    if not scan.is_limited:
        return f"{scan} grows {times:.0f} times"
    # Every row that it reads counts for the limit, unless there is a filter.
    return f"{scan} may skip any number of rows by its filter {scan.filter}" if scan.filter else None


def _scans(node: Node, predicates: Mapping[str, str], *, is_limited: bool = False) -> Iterator[TableScan]:
    kind = node["Node Type"]
    is_limited = kind == "Limit" or (is_limited and kind not in _READS_ALL)
    is_scan = "Relation Name" in node and kind != "ModifyTable"
    if (is_scan or kind == "Bitmap Index Scan") and node.get("Schema") != "pg_temp":
        yield TableScan(node, is_limited, predicates.get(node.get("Index Name", ""), ""))
    for child in node.get("Plans", ()):
        # What is run once for the node, or once for each of its rows, is not what the limit is about.
        is_own = child.get("Parent Relationship") in {"InitPlan", "SubPlan"}
        yield from _scans(child, predicates, is_limited=is_limited and not is_own)


def _names(scans: Sequence[TableScan]) -> str:
    return ", ".join(map(str, scans)) or "none"
