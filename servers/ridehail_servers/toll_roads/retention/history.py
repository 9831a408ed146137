"""Looks up an order and its changes in database and archive."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import OrderNotFound

from .archive import in_thread, open_archive_table
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


async def order_history(
    database: Database, store: ArchiveStore, archive_urls: Sequence[str], order_id: str
) -> OrderHistory:
    """Looks up an order.

    Args:
        database: Of toll_roads.
        store: Reads it.
        archive_urls: All archives that may have it; several while or after they are moved.
        order_id: The order.

    Raises:
        OrderNotFound: Neither has it.
        ArchiveFailed: The archive cannot be read.
    """

    async def rows_of(table: ArchivedTable, row_type: type[AnyRow]) -> list[Located[AnyRow]]:
        async with database.connection() as connection:
            stored = await store.order_rows(connection, table, order_id)
        # Second: a row that moves meanwhile is found twice rather than never.
        archived: list[Row] = []
        for url in archive_urls:
            archive = open_archive_table(url, table)
            archived += await in_thread(archive, archive.rows_of, order_id)
        return merged(_of_type(row_type, stored), _of_type(row_type, archived))

    orders = await rows_of(ArchivedTable.ORDERS, ArchivedOrder)
    changes = await rows_of(ArchivedTable.LOG, ArchivedChange)
    if not orders and not changes:
        raise OrderNotFound(order_id)
    return OrderHistory(orders[-1] if orders else None, changes)


def _of_type(row_type: type[AnyRow], rows: Iterable[object]) -> list[AnyRow]:
    return [row for row in rows if isinstance(row, row_type)]
