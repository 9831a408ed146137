"""The SQL by which every process follows the agreements of the database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ridehail_servers.chassis.database import Connection

CHANNEL = "eulas_catalogue"
"""Where changes of agreements are notified of."""


class StoredCatalogue(NamedTuple):
    """The agreements that are in force, read at one time.

    Attributes:
        version: The number of the latest change; 0: there has been none.
        entries: By position: each as an entry of `EULAS`.
    """

    version: int
    entries: Sequence[dict[str, Any]]


class CatalogueStore:
    """One method per statement, each on the caller's connection."""

    async def version(self, connection: Connection) -> int:
        """Returns the number of the latest change; 0: there has been none."""
        cursor = await connection.execute("SELECT coalesce(max(version), 0) FROM eulas.agreement_changes")
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])

    async def load(self, connection: Connection) -> StoredCatalogue:
        """Returns the agreements that are in force, by one statement: never half of a change."""
        cursor = await connection.execute(
            """
            SELECT latest.version, agreements.content
            FROM (SELECT coalesce(max(version), 0) AS version FROM eulas.agreement_changes) AS latest
            LEFT JOIN eulas.agreements ON agreements.kind <> 'withdrawn'
            ORDER BY agreements.position, agreements.eula_id COLLATE "C"
            """
        )
        rows = await cursor.fetchall()
        return StoredCatalogue(rows[0][0], [content for _version, content in rows if content is not None])
