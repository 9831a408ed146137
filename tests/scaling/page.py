"""The parts of docs/scaling.md that are made from the schemas and from what is stated beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

import psycopg

from tests.scaling.capacity_tables import capacity_blocks
from tests.scaling.citus import statements
from tests.scaling.exceptions import FAN_OUT, TWO_KEYS
from tests.scaling.markdown import table, with_blocks
from tests.scaling.placement import FOLDER, Placement, placements
from tests.scaling.table_rules import TableRules, distributed_tables, foreign_keys_of_reference_tables

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"
SCRIPT = FOLDER / "distribute.sql"


def written(connection: psycopg.Connection) -> dict[Path, str]:
    """Returns what the files that are made hold, given a migrated database."""
    tables = distributed_tables(connection)
    blocks = {
        "keys": _keys(),
        "changes": _changes(tables),
        "fan-out": _reasons(FAN_OUT),
        "two-keys": _reasons(TWO_KEYS),
        **capacity_blocks(),
    }
    return {
        SCRIPT: statements(tables, foreign_keys_of_reference_tables(connection)),
        PAGE: with_blocks(PAGE.read_text(), blocks),
    }


def _keys() -> str:
    rows = []
    for schema, entries in groupby(placements().items(), key=lambda entry: entry[0][0]):
        own = [(name, placement) for (_, name), placement in entries]
        keys = dict.fromkeys(placement.key for _, placement in own if placement.key)
        by_key = [f"{', '.join(name for name, it in own if it.key == key)} by `{key}`" for key in keys]
        rows.append(
            (
                schema,
                "; ".join(by_key),
                _whole(own, "reference"),
                _whole(own, "local"),
            )
        )
    return table(("schema", "distributed", "on each node", "whole on one node"), rows)


def _whole(own: Sequence[tuple[str, Placement]], kind: str) -> str:
    return "; ".join(f"{name} ({it.because})" for name, it in own if it.kind == kind)


def _changes(tables: Sequence[TableRules]) -> str:
    return table(
        ("table", "rule", "as it is", "distributed"),
        [
            (one.name, change.name, f"`{change.before}`", f"`{change.after}`" if change.after else "nothing")
            for one in tables
            for change in one.changes
        ]
        + [(one.name, trigger, "trigger", "nothing") for one in tables for trigger in one.triggers],
    )


def _reasons(reasons: Mapping[str, str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        by_reason.setdefault(reason, []).append(f"`{name}`")
    return table(("it ...", "statements"), [(reason, ", ".join(names)) for reason, names in by_reason.items()])
