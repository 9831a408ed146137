"""Everything that is known of an order, wherever it is kept by now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import OrderNotFound

from .archive import ArchiveTable
from .archive_store import ArchiveStore
from .rows import ArchivedTable, LogRow, OrderRow

AnyRow = TypeVar("AnyRow", OrderRow, LogRow)


class Place(StrEnum):
    """Where a row is."""

    DATABASE = "database"
    ARCHIVE = "archive"
    BOTH = "database and archive"


@dataclass(frozen=True, slots=True)
class OrderSaved:
    """The order itself, and where it is."""

    row: OrderRow
    place: Place


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the order's road, and where it is."""

    row: LogRow
    place: Place


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """What is known of an order.

    Attributes:
        order: The order; None when only changes are known.
        changes: Each once, ordered by `created_at`.
    """

    order: OrderSaved | None
    changes: Sequence[Change]


def merged(database: Iterable[AnyRow], archive: Iterable[AnyRow]) -> list[tuple[AnyRow, Place]]:
    """Returns each row once, with where it is, ordered by `created_at`.

    Args:
        database: The rows that the database has.
        archive: Those that the archive has; a row may be there twice.
    """
    here, there = set(database), set(archive)
    places = {
        row: Place.BOTH if row in here and row in there else Place.DATABASE if row in here else Place.ARCHIVE
        for row in here | there
    }
    return sorted(places.items(), key=lambda item: item[0].created_at)


class Histories:
    """Looks orders up in database and archive."""

    def __init__(self, database: Database, store: ArchiveStore, archive_url: str) -> None:
        """Names where to look; touches nothing.

        Args:
            database: Of toll_roads.
            store: Its SQL.
            archive_url: See `chassis.folder_url`.
        """
        self._database = database
        self._store = store
        self._archive_url = archive_url

    async def of(self, order_id: str) -> OrderHistory:
        """Returns all that is known of an order.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: Neither has it.
            ArchiveFailed: The archive cannot be read.
            DatabaseUnavailable: The database failed.
        """
        orders = [OrderSaved(*found) for found in await self._rows(ArchivedTable.ORDERS, OrderRow, order_id)]
        changes = [Change(*found) for found in await self._rows(ArchivedTable.LOG, LogRow, order_id)]
        if not orders and not changes:
            raise OrderNotFound(order_id)
        return OrderHistory(orders[-1] if orders else None, changes)

    async def _rows(self, table: ArchivedTable, row_type: type[AnyRow], order_id: str) -> list[tuple[AnyRow, Place]]:
        async with self._database.connection() as connection:
            database = await self._store.order_rows(connection, table, order_id)
        # Second: a row that moves meanwhile is found twice rather than never.
        archive = await asyncio.to_thread(ArchiveTable(self._archive_url, table).rows_of, order_id)
        return merged(_of_type(row_type, database), _of_type(row_type, archive))


def _of_type(row_type: type[AnyRow], rows: Iterable[object]) -> list[AnyRow]:
    return [row for row in rows if isinstance(row, row_type)]
