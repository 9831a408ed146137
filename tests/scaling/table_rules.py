"""What a migrated schema says of its tables, and which of it holds when a table is distributed by its key.

Postgres asks the same of a partitioned table as Citus of a distributed one: what is unique includes the key, and a
foreign key joins rows of one key.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.scaling.placement import Placement, placements

_CONSTRAINTS = """
    SELECT conname, contype, pg_get_constraintdef(con.oid), ARRAY(
        SELECT attname::text FROM unnest(conkey) AS number
        JOIN pg_attribute ON attrelid = conrelid AND attnum = number
    ), referred_namespace.nspname::text, referred.relname::text, ARRAY(
        SELECT attname::text FROM unnest(confkey) AS number
        JOIN pg_attribute ON attrelid = confrelid AND attnum = number
    )
    FROM pg_constraint AS con
    LEFT JOIN pg_class AS referred ON referred.oid = confrelid
    LEFT JOIN pg_namespace AS referred_namespace ON referred_namespace.oid = referred.relnamespace
    WHERE conrelid = %s::regclass AND contype IN ('p', 'u', 'f')
    ORDER BY contype = 'f', conname
"""
_INDEXES = """
    SELECT relname::text, pg_get_indexdef(indexrelid), indisunique, ARRAY(
        SELECT attname::text FROM pg_attribute WHERE attrelid = indexrelid ORDER BY attnum
    )
    FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE indrelid = %s::regclass AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
    ORDER BY relname
"""
_TRIGGERS = "SELECT tgname::text FROM pg_trigger WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY tgname"
_NULLABLE = "SELECT NOT attnotnull FROM pg_attribute WHERE attrelid = %s::regclass AND attname = %s"


@dataclass(frozen=True, slots=True)
class Change:
    """What cannot stay as it is.

    Attributes:
        name: Of the constraint, index or trigger.
        before: Its definition, as short as Postgres prints it.
        after: What takes its place, or empty: nothing does.
    """

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class TableRules:
    """A distributed table.

    Attributes:
        constraints: The definitions that hold: name -> as ALTER TABLE ... ADD takes them, those of keys last.
        foreign_keys: Likewise, to tables that lie where their rows do.
        indexes: Statements that create those with the key, by which joins find their rows.
        changes: Constraints that cannot stay.
        triggers: The names of its triggers.
    """

    schema: str
    table: str
    placement: Placement
    constraints: dict[str, str]
    foreign_keys: dict[str, str]
    indexes: Sequence[str]
    changes: Sequence[Change]
    triggers: Sequence[str]

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"


def distributed_tables(connection: psycopg.Connection) -> list[TableRules]:
    """Returns all tables that have a key, by the catalog of a migrated database."""
    return [
        _rules(connection, schema, table, placement)
        for (schema, table), placement in placements().items()
        if placement.kind == "distributed"
    ]


def foreign_keys_of_reference_tables(connection: psycopg.Connection) -> list[tuple[str, str, str]]:
    """Returns table, name and definition of each."""
    return [
        (f"{schema}.{table}", name, definition)
        for (schema, table), placement in placements().items()
        if placement.kind == "reference"
        for name, kind, definition, *_ in _rows(connection, _CONSTRAINTS, f"{schema}.{table}")
        if kind == "f"
    ]


def _rules(connection: psycopg.Connection, schema: str, table: str, placement: Placement) -> TableRules:
    name, key = f"{schema}.{table}", placement.key
    constraints: dict[str, str] = {}
    foreign_keys: dict[str, str] = {}
    indexes: list[str] = []
    changes: list[Change] = []
    for conname, kind, definition, columns, *referred in _rows(connection, _CONSTRAINTS, name):
        if kind == "f":
            if _lies_together(placement, columns, *referred):
                foreign_keys[conname] = definition
            else:
                changes.append(Change(conname, _short(definition), ""))
        else:
            constraints[conname] = definition if key in columns else _with_key(connection, name, definition, key)
            if key not in columns:
                changes.append(Change(conname, _short(definition), _short(constraints[conname])))
    for index, definition, is_unique, columns in _rows(connection, _INDEXES, name):
        if is_unique and key not in columns:
            changes.append(Change(index, _short(definition), ""))
        elif key in columns:
            indexes.append(definition)
    return TableRules(
        schema,
        table,
        placement,
        constraints,
        foreign_keys,
        indexes,
        changes,
        triggers=[row[0] for row in _rows(connection, _TRIGGERS, name)],
    )


def _lies_together(
    placement: Placement, columns: Sequence[str], schema: str, table: str, referred_columns: Sequence[str]
) -> bool:
    referred = placements()[schema, table]
    if referred.kind == "reference":
        return True
    return referred.kind == "distributed" and (placement.key, referred.key) in zip(
        columns, referred_columns, strict=True
    )


def _with_key(connection: psycopg.Connection, name: str, definition: str, key: str) -> str:
    """Returns what is unique together with the key; a primary key has no column that may be empty."""
    ((is_nullable,),) = _rows(connection, _NULLABLE, name, key)
    changed = re.sub(r"\((.*?)\)", rf"(\1, {key})", definition, count=1)
    return changed.replace("PRIMARY KEY", "UNIQUE") if is_nullable else changed


def _short(definition: str) -> str:
    return re.sub(r" INCLUDE \(.*?\)", "", definition)


def _rows(connection: psycopg.Connection, statement: str, *parameters: str) -> list[tuple[Any, ...]]:
    return connection.execute(statement.encode(), parameters).fetchall()
