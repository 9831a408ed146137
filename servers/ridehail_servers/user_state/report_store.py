"""The SQL of the report on comparisons."""

from __future__ import annotations

from datetime import datetime

from ridehail_servers.chassis.database import Connection

from .json_comparison import Kind, Verdict
from .metrics import STATUS
from .redaction import Mismatch, RedactedDifference
from .report import ComparisonReport, MismatchPath, totals_of

_PLACES = 20
_SAMPLES = 5
_SAMPLE_DIFFERENCES = 5


class ReportStore:
    """One method per statement, except for the report as a whole."""

    async def report(self, connection: Connection, since: datetime) -> ComparisonReport:
        """Returns the report since a time. The transaction must see one state of the database."""
        return ComparisonReport(
            since=since,
            totals=totals_of(await self.counts(connection, since)),
            kept=await self.count_mismatches(connection, since),
            places=await self.places(connection, since),
            samples=await self.samples(connection, since),
        )

    async def counts(self, connection: Connection, since: datetime) -> dict[tuple[Kind, Verdict], int]:
        """Counts comparisons by kind and verdict."""
        cursor = await connection.execute(
            """
            SELECT kind::text, verdict::text, sum(count)::bigint
            FROM user_state.comparisons
            WHERE minute >= date_trunc('minute', %s::timestamptz)
            GROUP BY kind, verdict
            """,
            (since,),
        )
        return {(Kind(kind), Verdict(verdict)): count for kind, verdict, count in await cursor.fetchall()}

    async def count_mismatches(self, connection: Connection, since: datetime) -> int:
        cursor = await connection.execute("SELECT count(*) FROM user_state.mismatches WHERE at >= %s", (since,))
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def places(self, connection: Connection, since: datetime) -> list[MismatchPath]:
        """Returns the paths that most mismatches have, the most frequent first.

        A token of digits alone is an index: no name that is stored begins with a digit.
        """
        cursor = await connection.execute(
            """
            WITH differing AS (
                SELECT id, kind, regexp_replace(one ->> 'path', '/[0-9]+(?=/|$)', '/*', 'g') AS path
                FROM user_state.mismatches, jsonb_array_elements(differences) AS one
                WHERE at >= %(since)s
                UNION ALL
                SELECT id, kind, %(status)s FROM user_state.mismatches
                WHERE at >= %(since)s AND old_status <> new_status
            )
            SELECT kind::text, path, count(DISTINCT id)
            FROM differing
            GROUP BY kind, path
            ORDER BY count(DISTINCT id) DESC, kind, path
            LIMIT %(limit)s
            """,
            {"since": since, "status": STATUS, "limit": _PLACES},
        )
        return [MismatchPath(Kind(kind), path, count) for kind, path, count in await cursor.fetchall()]

    async def samples(self, connection: Connection, since: datetime) -> list[Mismatch]:
        """Returns the latest mismatches."""
        cursor = await connection.execute(
            """
            SELECT request_id, at, kind::text, old_status, new_status, differences
            FROM user_state.mismatches
            WHERE at >= %s
            ORDER BY id DESC
            LIMIT %s
            """,
            (since, _SAMPLES),
        )
        return [
            Mismatch(
                request_id,
                at,
                Kind(kind),
                old_status,
                new_status,
                tuple(RedactedDifference(**one) for one in differences[:_SAMPLE_DIFFERENCES]),
            )
            for request_id, at, kind, old_status, new_status, differences in await cursor.fetchall()
        ]
