"""Turns a migrated database into one whose distributed tables are partitioned by the hash of their key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import psycopg
from psycopg import sql

from tests.scaling.table_rules import TableRules

PARTITIONS = 16

_VIEWS = "SELECT schemaname::text, viewname::text, definition FROM pg_views WHERE schemaname = ANY(%s)"


def partition(connection: psycopg.Connection, tables: Sequence[TableRules]) -> Mapping[str, str]:
    """Partitions the tables, which lose their rows and their triggers; returns partition -> its table."""
    views = connection.execute(_VIEWS, ([table.schema for table in tables],)).fetchall()
    partitions: dict[str, str] = {}
    for table in tables:
        _create(connection, table)
        partitions |= {f"{table.schema}.{_partition(table, number)}": table.name for number in range(PARTITIONS)}
    for table in tables:
        for name, definition in table.foreign_keys.items():
            _add_constraint(connection, table, name, definition)
    for schema, view, definition in views:
        connection.execute(f"CREATE VIEW {schema}.{view} AS {definition}".encode())
    return partitions


def _create(connection: psycopg.Connection, table: TableRules) -> None:
    names = {
        "table": sql.Identifier(table.schema, table.table),
        "plain": sql.Identifier(table.table),
        "new": sql.Identifier(table.schema, f"{table.table}_new"),
        "key": sql.Identifier(table.placement.key),
    }
    for statement in (
        "CREATE TABLE {new} (LIKE {table} INCLUDING DEFAULTS INCLUDING IDENTITY) PARTITION BY HASH ({key})",
        "DROP TABLE {table} CASCADE",
        "ALTER TABLE {new} RENAME TO {plain}",
    ):
        connection.execute(sql.SQL(statement).format(**names))
    for number in range(PARTITIONS):
        connection.execute(
            sql.SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES WITH (MODULUS {}, REMAINDER {})").format(
                sql.Identifier(table.schema, _partition(table, number)), names["table"], PARTITIONS, number
            )
        )
    for name, definition in table.constraints.items():
        _add_constraint(connection, table, name, definition)
    for definition in table.indexes:
        connection.execute(definition.encode())


def _add_constraint(connection: psycopg.Connection, table: TableRules, name: str, definition: str) -> None:
    connection.execute(f"ALTER TABLE {table.name} ADD CONSTRAINT {name} {definition}".encode())


def _partition(table: TableRules, number: int) -> str:
    return f"{table.table}_{number}"
