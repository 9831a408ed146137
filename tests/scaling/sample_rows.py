"""A row of every table that sample arguments find: all ids are "1"."""

from __future__ import annotations

from enum import Enum

import psycopg
from psycopg import sql

from tests.scaling.placement import placements
from tests.support.databases import SCHEMAS, empty_tables

_COLUMNS = """
    SELECT table_schema::text, table_name::text, column_name::text, data_type::text, is_nullable = 'YES',
        (SELECT enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid
            WHERE typname = udt_name ORDER BY enumsortorder LIMIT 1)::text
    FROM information_schema.columns JOIN pg_class ON relname = table_name AND relnamespace = table_schema::regnamespace
    WHERE table_schema = ANY(%s) AND relkind IN ('r', 'p') AND NOT relispartition AND table_name !~ 'yoyo|procrastinate'
    ORDER BY 1, 2, ordinal_position
"""
_VALUES = {
    "text": "1",
    "bigint": 1,
    "integer": 1,
    "smallint": 1,
    "timestamp with time zone": "2020-01-01T00:00:00Z",
    "uuid": "00000000-0000-0000-0000-000000000001",
    "bytea": b"1",
    "ARRAY": ["1"],
    "jsonb": '{"revision": "1", "order": {"status": "1", "version": 1}, "tariffs": []}',
    "json": "{}",
}
# What the stores make more of than a text or an object.
_VALUES_OF_COLUMNS = {
    "kind": "updated",
    "role": "user",
    "differences": "[]",
    "shape": "[]",
    "content": '{"eula_id": "1", "type": "1", "revision": 1, "ttl_s": 1, "rejectable": true, "title": {"en": "1"}}',
}


class Filling(Enum):
    """What is in columns that decide whether a statement finds the row."""

    EMPTY = "NULL where a column may be, and false"
    FULL = "a value in every column, and true"


def insert_rows(connection: psycopg.Connection, filling: Filling) -> None:
    """Replaces the rows of all tables by one each; the key of a table is never NULL."""
    rows: dict[tuple[str, str], dict[str, object]] = {}
    for schema, table, column, kind, is_nullable, label in connection.execute(_COLUMNS, (list(SCHEMAS),)).fetchall():
        is_key = placements()[schema, table].key == column
        value = _value(filling, column, kind, label)
        is_empty = filling is Filling.EMPTY and is_nullable and not is_key
        rows.setdefault((schema, table), {})[column] = None if is_empty else value
    empty_tables(connection)
    with connection.transaction():
        connection.execute("SET LOCAL session_replication_role = replica")
        for name, row in rows.items():
            statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({})").format(
                sql.Identifier(*name),
                sql.SQL(", ").join(map(sql.Identifier, row)),
                sql.SQL(", ").join([sql.Placeholder()] * len(row)),
            )
            connection.execute(statement, list(row.values()))


def _value(filling: Filling, column: str, kind: str, label: str | None) -> object:
    if kind == "boolean":
        return filling is Filling.FULL
    return label if kind == "USER-DEFINED" else _VALUES_OF_COLUMNS.get(column, _VALUES[kind])
