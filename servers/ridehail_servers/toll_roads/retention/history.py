"""Looks up an order and its changes in database and archive."""

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
from .rows import ArchivedChange, ArchivedOrder, ArchivedTable

AnyRow = TypeVar("AnyRow", ArchivedOrder, ArchivedChange)


class RowLocation(StrEnum):
    DATABASE = "database"
    ARCHIVE = "archive"
    BOTH = "database and archive"


@dataclass(frozen=True, slots=True)
class LocatedOrder:
    row: ArchivedOrder
    location: RowLocation


@dataclass(frozen=True, slots=True)
class LocatedChange:
    row: ArchivedChange
    location: RowLocation


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """All that database and archive hold of an order.

    Attributes:
        order: The order, or None if only changes are known.
        changes: Each once, ordered by `created_at`.
    """

    order: LocatedOrder | None
    changes: Sequence[LocatedChange]


def merged(database: Iterable[AnyRow], archive: Iterable[AnyRow]) -> list[tuple[AnyRow, RowLocation]]:
    """Returns each row once, with its location, ordered by `created_at`; the archive may hold a row twice."""
    here, there = set(database), set(archive)
    locations = {
        row: RowLocation.BOTH
        if row in here and row in there
        else RowLocation.DATABASE
        if row in here
        else RowLocation.ARCHIVE
        for row in here | there
    }
    return sorted(locations.items(), key=lambda item: item[0].created_at)


class OrderHistories:
    def __init__(self, database: Database, store: ArchiveStore, archive_url: str) -> None:
        self._database = database
        self._store = store
        self._archive_url = archive_url

    async def of(self, order_id: str) -> OrderHistory:
        """Returns the history of an order.

        Raises:
            OrderNotFound: Neither has it.
            ArchiveFailed: The archive cannot be read.
            DatabaseUnavailable: The database failed.
        """
        orders = [LocatedOrder(*found) for found in await self._rows(ArchivedTable.ORDERS, ArchivedOrder, order_id)]
        changes = [LocatedChange(*found) for found in await self._rows(ArchivedTable.LOG, ArchivedChange, order_id)]
        if not orders and not changes:
            raise OrderNotFound(order_id)
        return OrderHistory(orders[-1] if orders else None, changes)

    async def _rows(
        self, table: ArchivedTable, row_type: type[AnyRow], order_id: str
    ) -> list[tuple[AnyRow, RowLocation]]:
        async with self._database.connection() as connection:
            database = await self._store.order_rows(connection, table, order_id)
        # Second: a row that moves meanwhile is found twice rather than never.
        archive = await asyncio.to_thread(ArchiveTable(self._archive_url, table).rows_of, order_id)
        return merged(_of_type(row_type, database), _of_type(row_type, archive))


def _of_type(row_type: type[AnyRow], rows: Iterable[object]) -> list[AnyRow]:
    return [row for row in rows if isinstance(row, row_type)]
