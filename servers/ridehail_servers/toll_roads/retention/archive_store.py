"""The SQL of the archive's batches. One method per statement, on the caller's connection, in its transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, fields
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from ridehail_servers.chassis.database import Connection, Database
from ridehail_servers.chassis.errors import DatabaseUnavailable
from ridehail_servers.chassis.row_counts import RowCount, count_rows

from .purge_store import named
from .rows import ROW_TYPES, ArchivedTable, Row


@dataclass(frozen=True, slots=True)
class AssignedRows:
    """How many rows were put into a batch, and their least and greatest created_at, or None without any."""

    rows: int
    oldest: datetime | None
    latest: datetime | None


class ArchiveStore:
    """Records which rows are in which batch, and which batches are in the archive."""

    async def try_lock(self, connection: Connection) -> bool:
        """Makes this session the only one that archives until it ends, or returns False if another one does."""
        cursor = await connection.execute("SELECT pg_try_advisory_lock(hashtextextended('toll_roads archive', 0))")
        return await cursor.fetchone() == (True,)

    async def unlock(self, connection: Connection) -> None:
        await connection.execute("SELECT pg_advisory_unlock_all()")

    async def count_due(self, connection: Connection, table: ArchivedTable, before: datetime, how: RowCount) -> int:
        """Counts the rows to be archived: those of the open batch, and those created before a timestamp."""
        return await count_rows(
            connection,
            named(
                """
                SELECT FROM {table} WHERE archive_batch IS NULL AND created_at < %s
                UNION ALL
                SELECT FROM {table} WHERE archive_batch = (
                    SELECT batch FROM toll_roads.archive_batches WHERE table_name = %s AND written_at IS NULL
                )
                """,
                table,
            ),
            (before, table.value),
            how,
        )

    async def open_batch(self, connection: Connection, table: ArchivedTable) -> int | None:
        """Returns the batch that is not marked as written, or None."""
        cursor = await connection.execute(
            "SELECT batch FROM toll_roads.archive_batches WHERE table_name = %s AND written_at IS NULL", (table.value,)
        )
        row = await cursor.fetchone()
        return None if row is None else int(row[0])

    async def insert_batch(self, connection: Connection, table: ArchivedTable, after: int) -> int | None:
        """Opens a batch, or returns None if another one is open.

        Its number is the time in microseconds, yet greater than all before it: so it is greater, too, than the numbers
        of a database of which this one is an older copy.

        Args:
            connection: In the transaction that assigns the rows.
            table: The table.
            after: The last batch that the archive has.
        """
        cursor = await connection.execute(
            """
            INSERT INTO toll_roads.archive_batches (table_name, batch)
            SELECT %(table)s, greatest(
                (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
                %(after)s + 1,
                (SELECT max(batch) + 1 FROM toll_roads.archive_batches WHERE table_name = %(table)s)
            )
            ON CONFLICT DO NOTHING
            RETURNING batch
            """,
            {"table": table.value, "after": after},
        )
        row = await cursor.fetchone()
        return None if row is None else int(row[0])

    async def assign_rows(
        self, connection: Connection, table: ArchivedTable, batch: int, *, since: datetime, before: datetime, limit: int
    ) -> AssignedRows:
        """Puts the oldest rows of a time span that are in no batch into this one, but none that is locked."""
        cursor = await connection.execute(
            named(
                """
                WITH assigned AS (
                    UPDATE {table} SET archive_batch = %s
                    WHERE ctid = ANY(ARRAY(
                        SELECT ctid FROM {table}
                        WHERE archive_batch IS NULL AND created_at >= %s AND created_at < %s
                        ORDER BY created_at
                        LIMIT %s
                        FOR NO KEY UPDATE SKIP LOCKED
                    ))
                    RETURNING created_at
                )
                SELECT count(*), min(created_at), max(created_at) FROM assigned
                """,
                table,
            ),
            (batch, since, before, limit),
        )
        row = await cursor.fetchone()
        assert row is not None
        return AssignedRows(*row)

    async def note_oldest(self, connection: Connection, table: ArchivedTable, batch: int, oldest: datetime) -> None:
        """Records the age of a batch."""
        await connection.execute(
            "UPDATE toll_roads.archive_batches SET oldest_created_at = %s WHERE table_name = %s AND batch = %s",
            (oldest, table.value, batch),
        )

    async def release_rows(self, connection: Connection, table: ArchivedTable, batch: int) -> None:
        """Takes the rows out of a batch."""
        await connection.execute(
            named("UPDATE {table} SET archive_batch = NULL WHERE archive_batch = %s", table), (batch,)
        )

    async def delete_open_batch(self, connection: Connection, table: ArchivedTable, batch: int) -> bool:
        """Deletes a batch, or returns False if it is marked as written, or gone."""
        cursor = await connection.execute(
            "DELETE FROM toll_roads.archive_batches WHERE table_name = %s AND batch = %s AND written_at IS NULL",
            (table.value, batch),
        )
        return cursor.rowcount == 1

    async def batch_rows(self, connection: Connection, table: ArchivedTable, batch: int) -> list[Row]:
        """Returns the rows of a batch."""
        return await _rows(connection, table, "archive_batch = %s", batch)

    async def order_rows(self, connection: Connection, table: ArchivedTable, order_id: str) -> list[Row]:
        """Returns the rows of an order."""
        return await _rows(connection, table, "order_id = %s", order_id)

    async def mark_written(self, connection: Connection, table: ArchivedTable, batch: int, now: datetime) -> None:
        """Records that a batch is in the archive."""
        await connection.execute(
            """
            UPDATE toll_roads.archive_batches SET written_at = %s
            WHERE table_name = %s AND batch = %s AND written_at IS NULL
            """,
            (now, table.value, batch),
        )


@asynccontextmanager
async def archive_lock(database: Database, store: ArchiveStore) -> AsyncIterator[bool]:
    """Holds the lock of `ArchiveStore.try_lock` for the length of the block; yields whether it was free.

    The lock belongs to a connection of its own, so it ends with the block, however that ends.

    Raises:
        DatabaseUnavailable: The database gives no connection.
    """
    try:
        connection = await database.connect()
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable from error
    async with connection:
        is_ours = await store.try_lock(connection)
        try:
            yield is_ours
        finally:
            # The end of the connection does it as well, but only some time after it is closed.
            with suppress(psycopg.Error):
                await store.unlock(connection)


async def _rows(connection: Connection, table: ArchivedTable, condition: LiteralString, parameter: object) -> list[Row]:
    row_type: type[Row] = ROW_TYPES[table]
    statement = sql.SQL("SELECT {columns} FROM {table} WHERE {condition} ORDER BY created_at").format(
        columns=sql.SQL(", ").join(sql.Identifier(field.name) for field in fields(row_type)),
        table=sql.Identifier("toll_roads", table.value),
        condition=sql.SQL(condition),
    )
    async with connection.cursor(row_factory=class_row(row_type)) as cursor:
        await cursor.execute(statement, (parameter,))
        return await cursor.fetchall()
