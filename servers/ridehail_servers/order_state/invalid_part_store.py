"""The SQL of invalid parts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from psycopg.types.json import Jsonb

from ridehail_servers.chassis.database import Connection

from .invalid_parts import Incident, ShapeSample


class InvalidPartStore:
    """One method per statement. Rows are written in one order, so that no two transactions wait for each other."""

    async def add_counts(self, connection: Connection, counts: Mapping[Incident, int], now: datetime) -> None:
        """Adds to the counts of the present hour."""
        rows = sorted((*incident, count) for incident, count in counts.items())
        await connection.execute(
            """
            INSERT INTO order_state.invalid_parts AS stored (hour, service, part_name, problem, count)
            SELECT date_trunc('hour', %s::timestamptz), given.*
            FROM unnest(%s::text[], %s::text[], %s::text[], %s::bigint[]) AS given
            ON CONFLICT (hour, service, part_name, problem) DO UPDATE SET count = stored.count + excluded.count
            """,
            (now, *map(list, zip(*rows, strict=True))),
        )

    async def add_samples(self, connection: Connection, samples: Collection[ShapeSample]) -> None:
        """Stores shapes, or adds to those that are stored."""
        rows = [
            {
                "service": one.incident.service,
                "part_name": one.incident.part_name,
                "problem": one.incident.problem,
                "shape_id": one.shape_id,
                "shape": one.shape,
                "count": one.count,
                "first_at": one.first_at.isoformat(),
                "last_at": one.last_at.isoformat(),
            }
            for one in sorted(samples, key=lambda one: (one.incident, one.shape_id))
        ]
        await connection.execute(
            """
            INSERT INTO order_state.invalid_part_samples AS stored
            SELECT *
            FROM jsonb_to_recordset(%s) AS given (
                service text, part_name text, problem text, shape_id text, shape jsonb, count bigint,
                first_at timestamptz, last_at timestamptz
            )
            ON CONFLICT (service, part_name, problem, shape_id) DO UPDATE SET
                count = stored.count + excluded.count,
                last_at = greatest(stored.last_at, excluded.last_at)
            """,
            (Jsonb(rows),),
        )

    async def drop_surplus_samples(self, connection: Connection, parts: Collection[tuple[str, str]], kept: int) -> None:
        """Deletes all but the latest samples of some parts (service, name), except those that others hold."""
        services, names = zip(*sorted(parts), strict=True)
        await connection.execute(
            """
            DELETE FROM order_state.invalid_part_samples
            WHERE ctid = ANY(ARRAY(
                SELECT sample.ctid
                FROM unnest(%s::text[], %s::text[]) AS given (service, part_name)
                JOIN order_state.invalid_part_samples AS sample USING (service, part_name)
                WHERE sample.last_at < (
                    SELECT last_at
                    FROM order_state.invalid_part_samples AS newer
                    WHERE newer.service = given.service AND newer.part_name = given.part_name
                    ORDER BY last_at DESC
                    OFFSET %s LIMIT 1
                )
                FOR UPDATE OF sample SKIP LOCKED
            ))
            """,
            (list(services), list(names), kept - 1),
        )

    async def delete_old_counts(self, connection: Connection, before: datetime) -> int:
        """Deletes the counts of hours before a time, except those that others hold; returns how many."""
        cursor = await connection.execute(
            """
            DELETE FROM order_state.invalid_parts
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM order_state.invalid_parts WHERE hour < %s FOR UPDATE SKIP LOCKED
            ))
            """,
            (before,),
        )
        return cursor.rowcount

    async def delete_old_samples(self, connection: Connection, before: datetime) -> int:
        """Deletes shapes that nobody has reported since a time, except those that others hold; returns how many."""
        cursor = await connection.execute(
            """
            DELETE FROM order_state.invalid_part_samples
            WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM order_state.invalid_part_samples WHERE last_at < %s FOR UPDATE SKIP LOCKED
            ))
            """,
            (before,),
        )
        return cursor.rowcount

    async def counts_since(self, connection: Connection, since: datetime) -> Sequence[tuple[Incident, int]]:
        """Counts invalid parts since the beginning of an hour, the most frequent first."""
        cursor = await connection.execute(
            """
            SELECT service, part_name, problem, sum(count)::bigint AS total
            FROM order_state.invalid_parts
            WHERE hour >= date_trunc('hour', %s::timestamptz)
            GROUP BY service, part_name, problem
            ORDER BY total DESC, service, part_name, problem
            """,
            (since,),
        )
        return [(Incident(*incident), count) for *incident, count in await cursor.fetchall()]

    async def samples_since(self, connection: Connection, since: datetime) -> Sequence[ShapeSample]:
        """Returns the shapes that were reported since a time, by part, the latest first."""
        cursor = await connection.execute(
            """
            SELECT service, part_name, problem, shape_id, shape, count, first_at, last_at
            FROM order_state.invalid_part_samples
            WHERE last_at >= %s
            ORDER BY service, part_name, last_at DESC
            """,
            (since,),
        )
        return [
            ShapeSample(Incident(*row[:3]), row[3], tuple((path, kind) for path, kind in row[4]), *row[5:])
            for row in await cursor.fetchall()
        ]
