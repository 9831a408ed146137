"""The SQL of the purges. One method per statement, on the caller's connection, in its transaction if there is one.

Each statement finds its rows by an index and locks them without waiting: it skips what another transaction holds, and
the next run deletes that. Rows that are locked cannot move, so they are changed by their place (ctid) instead of a
second search.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString

from psycopg import sql

from ridehail_servers.chassis.database import Connection
from ridehail_servers.chassis.row_counts import RowCount, count_rows

from .rows import ArchivedTable

MIN_TIMESTAMP = datetime.fromisoformat("0001-01-01T00:00:00+00:00")
"""Before every row."""


def named(statement: LiteralString, table: ArchivedTable) -> sql.Composed:
    """Returns the statement with the name of a table for {table}."""
    return sql.SQL(statement).format(table=sql.Identifier("toll_roads", table.value))


class PurgeStore:
    async def count_offers(self, connection: Connection, before: datetime, how: RowCount) -> int:
        """Counts the offers created before a timestamp."""
        return await count_rows(
            connection, sql.SQL("SELECT FROM toll_roads.offers WHERE created_at < %s"), (before,), how
        )

    async def delete_offers(
        self, connection: Connection, since: datetime, before: datetime, limit: int
    ) -> tuple[int, datetime | None]:
        """Deletes the oldest offers of a time span; returns how many, and their latest created_at, or None without any.

        To start where the last batch ended spares a walk over its dead rows.
        """
        cursor = await connection.execute(
            """
            WITH deleted AS (
                DELETE FROM toll_roads.offers
                WHERE ctid = ANY(ARRAY(
                    SELECT ctid FROM toll_roads.offers
                    WHERE created_at >= %s AND created_at < %s
                    ORDER BY created_at
                    LIMIT %s
                    FOR UPDATE SKIP LOCKED
                ))
                RETURNING created_at
            )
            SELECT count(*), max(created_at) FROM deleted
            """,
            (since, before, limit),
        )
        row = await cursor.fetchone()
        assert row is not None
        return row[0], row[1]

    async def count_refused_saves(self, connection: Connection, before: datetime, how: RowCount) -> int:
        """Counts the refused reports of orders that came before a timestamp."""
        return await count_rows(
            connection,
            sql.SQL(
                "SELECT FROM toll_roads.order_save_requests WHERE refused_because IS NOT NULL AND requested_at < %s"
            ),
            (before,),
            how,
        )

    async def delete_refused_saves(self, connection: Connection, before: datetime, limit: int) -> int:
        """Deletes the oldest refused reports of orders that came before a timestamp."""
        cursor = await connection.execute(
            """
            DELETE FROM toll_roads.order_save_requests
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM toll_roads.order_save_requests
                WHERE refused_because IS NOT NULL AND requested_at < %s
                ORDER BY requested_at
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (before, limit),
        )
        return cursor.rowcount

    async def written_batches(self, connection: Connection, table: ArchivedTable, before: datetime) -> list[int]:
        """Returns the batches in the archive that may have rows created before a timestamp, the oldest first."""
        cursor = await connection.execute(
            """
            SELECT batch FROM toll_roads.archive_batches
            WHERE table_name = %s AND written_at IS NOT NULL AND oldest_created_at < %s
            ORDER BY batch
            """,
            (table.value, before),
        )
        return [row[0] for row in await cursor.fetchall()]

    async def delete_log_rows(self, connection: Connection, batch: int, before: datetime, limit: int) -> int:
        """Deletes changes of a batch that were created before a timestamp."""
        cursor = await connection.execute(
            """
            DELETE FROM toll_roads.log_has_toll_road
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM toll_roads.log_has_toll_road
                WHERE archive_batch = %s AND created_at < %s
                LIMIT %s
                FOR UPDATE SKIP LOCKED
            ))
            """,
            (batch, before, limit),
        )
        return cursor.rowcount

    async def lock_finished_orders(self, connection: Connection, batch: int, before: datetime, limit: int) -> list[str]:
        """Locks orders of a batch created before a timestamp that have no changes; no transaction can add one now.

        Changes may have been added since the statement began; `delete_orders` checks again.
        """
        cursor = await connection.execute(
            # A sub-select per order: joined, the planner may read the whole log.
            """
            SELECT order_id FROM toll_roads.orders
            WHERE archive_batch = %s AND created_at < %s
                AND (SELECT true FROM toll_roads.log_has_toll_road log WHERE log.order_id = orders.order_id LIMIT 1)
                    IS NULL
            LIMIT %s
            FOR UPDATE SKIP LOCKED
            """,
            (batch, before, limit),
        )
        return [row[0] for row in await cursor.fetchall()]

    async def delete_orders(self, connection: Connection, order_ids: Sequence[str]) -> int:
        """Deletes those of the locked orders that have no changes."""
        cursor = await connection.execute(
            """
            DELETE FROM toll_roads.orders
            WHERE order_id = ANY(%s)
                AND (SELECT true FROM toll_roads.log_has_toll_road log WHERE log.order_id = orders.order_id LIMIT 1)
                    IS NULL
            """,
            (list(order_ids),),
        )
        return cursor.rowcount

    async def count_archived(
        self, connection: Connection, table: ArchivedTable, before: datetime, how: RowCount
    ) -> int:
        """Counts the rows created before a timestamp that are in the archive."""
        return await count_rows(
            connection,
            # OFFSET 0: a sub-select per batch, because the planner may read the whole table when it is joined.
            named(
                """
                SELECT FROM toll_roads.archive_batches AS batches
                CROSS JOIN LATERAL (
                    SELECT FROM {table} WHERE archive_batch = batches.batch AND created_at < %s OFFSET 0
                ) AS old
                WHERE table_name = %s AND written_at IS NOT NULL AND oldest_created_at < %s
                """,
                table,
            ),
            (before, table.value, before),
            how,
        )

    async def count_unarchived(self, connection: Connection, table: ArchivedTable, before: datetime) -> int:
        """Counts the rows created before a timestamp that are not in the archive, or not known to be."""
        return await count_rows(
            connection,
            named(
                """
                SELECT FROM {table} WHERE archive_batch IS NULL AND created_at < %s
                UNION ALL
                SELECT FROM {table} WHERE created_at < %s AND archive_batch = (
                    SELECT batch FROM toll_roads.archive_batches WHERE table_name = %s AND written_at IS NULL
                )
                """,
                table,
            ),
            (before, before, table.value),
            RowCount.EXACT,
        )

    async def count_orders_with_kept_changes(self, connection: Connection, before: datetime) -> int:
        """Counts the orders in the archive, created before a timestamp, that have changes which stay."""
        return await count_rows(
            connection,
            sql.SQL(
                """
                SELECT FROM toll_roads.archive_batches AS batches
                CROSS JOIN LATERAL (
                    SELECT FROM toll_roads.orders
                    WHERE archive_batch = batches.batch AND created_at < %(before)s AND EXISTS (
                        SELECT 1 FROM toll_roads.log_has_toll_road AS log
                        WHERE log.order_id = orders.order_id AND (
                            log.created_at >= %(before)s OR log.archive_batch IS NULL OR log.archive_batch = (
                                SELECT batch FROM toll_roads.archive_batches
                                WHERE table_name = 'log_has_toll_road' AND written_at IS NULL
                            )
                        )
                    )
                    OFFSET 0
                ) AS old
                WHERE table_name = 'orders' AND written_at IS NOT NULL AND oldest_created_at < %(before)s
                """
            ),
            {"before": before},
            RowCount.EXACT,
        )

    async def delete_empty_batches(self, connection: Connection, table: ArchivedTable, before: datetime) -> None:
        """Deletes written batches without rows; the last one stays, so that the numbers continue after it."""
        await connection.execute(
            named(
                """
                DELETE FROM toll_roads.archive_batches AS batches
                WHERE table_name = %s AND written_at IS NOT NULL AND oldest_created_at < %s
                    AND NOT EXISTS (SELECT 1 FROM {table} WHERE archive_batch = batches.batch)
                    AND batch < (SELECT max(batch) FROM toll_roads.archive_batches WHERE table_name = %s)
                """,
                table,
            ),
            (table.value, before, table.value),
        )
