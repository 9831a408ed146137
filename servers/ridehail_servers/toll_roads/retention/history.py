"""Looks up an order and its changes in database and archive."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import OrderNotFound

from .archive import ArchiveTable
from .archive_store import ArchiveStore
from .rows import ArchivedChange, ArchivedOrder, ArchivedTable, Row

AnyRow = TypeVar("AnyRow", bound=Row)


class RowLocation(StrEnum):
    DATABASE = "database"
    ARCHIVE = "archive"
    BOTH = "database and archive"


@dataclass(frozen=True, slots=True)
class Located(Generic[AnyRow]):
    row: AnyRow
    location: RowLocation


@dataclass(frozen=True, slots=True)
class OrderHistory:
    """All that database and archive hold of an order.

    Attributes:
        order: The order, or None if only changes are known.
        changes: Each once, ordered by `created_at`.
    """

    order: Located[ArchivedOrder] | None
    changes: Sequence[Located[ArchivedChange]]


def merged(database: Iterable[AnyRow], archive: Iterable[AnyRow]) -> list[Located[AnyRow]]:
    """Returns each row once, ordered by `created_at`; the archive may hold a row twice."""
    here, there = set(database), set(archive)
    located = [
        *(Located(row, RowLocation.BOTH) for row in here & there),
        *(Located(row, RowLocation.DATABASE) for row in here - there),
        *(Located(row, RowLocation.ARCHIVE) for row in there - here),
    ]
    return sorted(located, key=lambda one: one.row.created_at)


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
        """
        orders = await self._rows(ArchivedTable.ORDERS, ArchivedOrder, order_id)
        changes = await self._rows(ArchivedTable.LOG, ArchivedChange, order_id)
        if not orders and not changes:
            raise OrderNotFound(order_id)
        return OrderHistory(orders[-1] if orders else None, changes)

    async def _rows(self, table: ArchivedTable, row_type: type[AnyRow], order_id: str) -> list[Located[AnyRow]]:
        async with self._database.connection() as connection:
            database = await self._store.order_rows(connection, table, order_id)
        # Second: a row that moves meanwhile is found twice rather than never.
        archive = await asyncio.to_thread(ArchiveTable(self._archive_url, table).rows_of, order_id)
        return merged(_of_type(row_type, database), _of_type(row_type, archive))


def _of_type(row_type: type[AnyRow], rows: Iterable[object]) -> list[AnyRow]:
    return [row for row in rows if isinstance(row, row_type)]
