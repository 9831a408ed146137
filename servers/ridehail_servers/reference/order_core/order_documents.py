"""Stores, reads and updates orders' documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ridehail_kernel.json_values import ABSENT, JsonObject
from ridehail_servers.chassis.clock import Clock
from ridehail_servers.chassis.database import Database
from ridehail_servers.chassis.errors import OrderNotFound
from ridehail_servers.chassis.json_limits import DetailsBudget

from .document import MAX_BYTES, check_size, is_whole, new_document, select, text_at, value_at, version_of
from .errors import OrderVersionConflict
from .store import OrderDocument, OrderDocumentStore, OrderInfo
from .update import Update, apply

MAX_LISTED: Final = 100
"""Orders in one list of a passenger's."""
MAX_TEXT_OF_MANY: Final = 300
"""Characters of a status or a sharing key in a response with a thousand orders, which has 4 MiB at most."""


@dataclass(frozen=True, slots=True)
class OrderFields:
    """Some fields of a document, nested as in it, and the document's version."""

    fields: JsonObject
    version: int


@dataclass(frozen=True, slots=True)
class OrderInfos:
    """What callers need to show many orders, in the order in which they were requested.

    Attributes:
        orders: Those that were found, but for those with a longer text than `MAX_TEXT_OF_MANY`.
        missing: The ids of those that were not found.
    """

    orders: Sequence[OrderInfo]
    missing: Sequence[str]


@dataclass(frozen=True, slots=True)
class ActiveOrder:
    """An order whose status is not final.

    Attributes:
        status: `order.status`, or empty without one.
        parts: The version of each part of the order, by its name.
        details: Further facts, or None if they are omitted because those of the orders before are large.
        sequence: `order.version`, which every change raises.
    """

    order_id: str
    status: str
    parts: Mapping[str, str]
    details: JsonObject | None
    sequence: int


class OrderDocuments:
    """The documents in the database."""

    def __init__(self, *, database: Database, store: OrderDocumentStore, clock: Clock) -> None:
        self._database = database
        self._store = store
        self._clock = clock

    async def put(self, *, order_id: str, yandex_uid: str, document: JsonObject) -> int:
        """Stores a document in place of an older one, and returns its version."""
        stored = new_document(document)
        check_size(stored)
        async with self._database.connection() as connection:
            await self._store.put_order(connection, OrderDocument(order_id, yandex_uid, stored), self._clock())
        return version_of(stored)

    async def get_fields(self, order_id: str, paths: Sequence[str]) -> OrderFields:
        """Returns those of the fields that the document has."""
        document = (await self._find(order_id)).document
        return OrderFields(select(document, paths), version_of(document))

    async def set_fields(self, order_id: str, update: Update, *, expected_version: int | None = None) -> int:
        """Updates a document, all or nothing, and returns its new version.

        Raises:
            OrderNotFound: There is no such order.
            OrderVersionConflict: The document is not at `expected_version`, if that is given.
            OrderFieldTypeMismatch: The document does not fit the changes.
            InvalidRequest: The document would become too large.
        """
        async with self._database.transaction() as connection:
            document = await self._store.lock_document(connection, order_id)
            if document is None:
                raise OrderNotFound(order_id)
            if expected_version not in {None, version_of(document)}:
                raise OrderVersionConflict(order_id, current_version=version_of(document))
            updated = apply(update, document, order_id=order_id)
            check_size(updated)
            version, now = version_of(updated), self._clock()
            await self._store.update_document(connection, order_id, updated, now)
            if update.call_processing:
                await self._store.insert_processing_event(connection, order_id, version, now)
        return version

    async def get_info(self, order_id: str) -> OrderInfo:
        """Returns what callers need to show an order."""
        found = await self._infos([order_id], max_length=MAX_BYTES)
        if not found:
            raise OrderNotFound(order_id)
        return found[order_id]

    async def get_infos(self, order_ids: Sequence[str]) -> OrderInfos:
        """Returns what callers need to show many orders."""
        found = await self._infos(order_ids, max_length=MAX_TEXT_OF_MANY + 1)
        requested = dict.fromkeys(order_ids)
        return OrderInfos(
            orders=[found[one] for one in requested if one in found and _is_short(found[one])],
            missing=[one for one in requested if one not in found],
        )

    async def list_active(self, yandex_uid: str) -> list[ActiveOrder]:
        """Returns a passenger's active orders, the oldest first, at most MAX_LISTED."""
        rows = await self._database.read(
            lambda connection: self._store.list_active(connection, yandex_uid, limit=MAX_LISTED)
        )
        budget = DetailsBudget()
        orders = map(_active_order, rows)
        return [one if budget.take(one.details) else replace(one, details=None) for one in orders]

    async def _infos(self, order_ids: Sequence[str], *, max_length: int) -> dict[str, OrderInfo]:
        rows = await self._database.read(
            lambda connection: self._store.order_infos(connection, order_ids, max_length=max_length)
        )
        return {row.order_id: row for row in rows}

    async def _find(self, order_id: str) -> OrderDocument:
        row = await self._database.read(lambda connection: self._store.find_order(connection, order_id))
        if row is None:
            raise OrderNotFound(order_id)
        return row


def _is_short(info: OrderInfo) -> bool:
    return max(len(info.status), len(info.sharing_key)) <= MAX_TEXT_OF_MANY


def _active_order(row: OrderDocument) -> ActiveOrder:
    details = value_at(row.document, "details")
    return ActiveOrder(
        order_id=row.order_id,
        status=text_at(row.document, "order.status"),
        parts=_part_versions(row.document),
        details=None if details is ABSENT else details if isinstance(details, dict) else {},
        sequence=version_of(row.document),
    )


def _part_versions(document: JsonObject) -> dict[str, str]:
    """Returns the versions of the parts, which may be texts or numbers; anything else is skipped."""
    parts = value_at(document, "parts")
    if not isinstance(parts, dict):
        return {}
    return {name: str(version) for name, version in parts.items() if isinstance(version, str) or is_whole(version)}
