"""The SQL of users' data: each service states its records, and the statements are made from that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, LiteralString

from .database import Connection
from .user_data import LISTED_AT_ONCE, UserIdentifiers, UserRecord


@dataclass(frozen=True, slots=True)
class UserRows:
    """A kind of records of users. Its SQL knows the user as `yandex_uid`, `phone_ids` and `order_ids`.

    Attributes:
        kind: Its name in exports and receipts.
        table: The table; with its schema, unless several services share the store.
        found_by: The condition of a user's rows; they are found by an index.
        shown: The columns that an export shows; none: the rows are not exported.
        key: A text that differs between a user's rows, to page by.
        erase: What erases at most `limit` rows, or None for a DELETE. Empty: nothing does; the rows are no longer the
            user's once others are erased.
    """

    kind: LiteralString
    table: LiteralString
    found_by: LiteralString
    shown: Sequence[LiteralString] = ()
    key: LiteralString = "''"
    erase: LiteralString | None = None

    @property
    def is_erased(self) -> bool:
        return self.erase != ""

    def count(self) -> LiteralString:
        return f"SELECT count(*) FROM {self.table} WHERE {self.found_by}"

    def page(self) -> LiteralString:
        pairs = ", ".join(f"'{column}', {column}" for column in self.shown)
        return f"""
            SELECT key, content FROM (
                SELECT ({self.key}) COLLATE "C" AS key, json_build_object({pairs})::text AS content
                FROM {self.table} WHERE {self.found_by}
            ) AS found
            WHERE key > %(after)s ORDER BY key LIMIT %(limit)s
            """

    def erasure(self) -> LiteralString:
        # Locked rows cannot move, so they are deleted by their place (ctid) instead of a second search. Each part of a
        # table that is distributed has such a place, so the condition stands there again: nobody else's row goes.
        return (
            self.erase
            or f"""
            DELETE FROM {self.table} WHERE ctid = ANY(ARRAY(
                SELECT ctid FROM {self.table} WHERE {self.found_by} LIMIT %(limit)s FOR UPDATE
            )) AND {self.found_by}
            """
        )


class UserDataStore:
    """What a service keeps of users. Each statement becomes a method of the subclass, on the caller's connection.

    Attributes:
        rows: In the order in which they are erased: what refers to a row goes before it.
        not_of_users: Every other table of the service -> why it keeps nothing of a user.
        active_orders: SQL, whether an order of the user is under way; None: the service cannot know.
        orders: SQL, the ids of the user's orders after the id `after`, in their order, at most `limit`.
        phones: SQL, the user's phones.
        pending: SQL, how many rows are erased here and not yet in the archive.
    """

    rows: ClassVar[Sequence[UserRows]]
    not_of_users: ClassVar[Mapping[str, str]] = {}
    active_orders: ClassVar[LiteralString | None] = None
    orders: ClassVar[LiteralString | None] = None
    phones: ClassVar[LiteralString | None] = None
    pending: ClassVar[LiteralString | None] = None

    def __init_subclass__(cls) -> None:
        for rows in cls.rows:
            setattr(cls, f"count_{rows.kind}", _value(rows.count()))
            if rows.shown:
                setattr(cls, f"page_of_{rows.kind}", _page(rows.kind, rows.page()))
            if rows.is_erased:
                setattr(cls, f"erase_{rows.kind}", _erasure(rows.erasure()))
        for name, statement in (("has_active_orders", cls.active_orders), ("count_pending", cls.pending)):
            if statement is not None:
                setattr(cls, name, _value(statement))
        for name, statement in (("list_orders", cls.orders), ("list_phones", cls.phones)):
            if statement is not None:
                setattr(cls, name, _list(statement))

    def call(self, method: str, *arguments: object, **named: object) -> Awaitable[Any]:
        """Calls a method that was made from a statement; each returns what its statement does."""
        made: Callable[..., Awaitable[Any]] = getattr(self, method)
        return made(*arguments, **named)


def _parameters(user: UserIdentifiers) -> dict[str, object]:
    return {"yandex_uid": user.yandex_uid, "phone_ids": list(user.phone_ids), "order_ids": list(user.order_ids)}


def _value(statement: LiteralString) -> Callable[..., Awaitable[Any]]:
    async def value(self: UserDataStore, connection: Connection, user: UserIdentifiers) -> Any:  # a count or a boolean
        row = await (await connection.execute(statement, _parameters(user))).fetchone()
        assert row is not None
        return row[0]

    return value


def _list(statement: LiteralString) -> Callable[..., Awaitable[list[str]]]:
    async def listed(self: UserDataStore, connection: Connection, user: UserIdentifiers, after: str = "") -> list[str]:
        parameters = {**_parameters(user), "after": after, "limit": LISTED_AT_ONCE}
        return [row[0] for row in await (await connection.execute(statement, parameters)).fetchall()]

    return listed


def _page(kind: str, statement: LiteralString) -> Callable[..., Awaitable[list[UserRecord]]]:
    async def page(
        self: UserDataStore, connection: Connection, user: UserIdentifiers, after: str, limit: int
    ) -> list[UserRecord]:
        cursor = await connection.execute(statement, {**_parameters(user), "after": after, "limit": limit})
        return [UserRecord(kind, *row) for row in await cursor.fetchall()]

    return page


def _erasure(statement: LiteralString) -> Callable[..., Awaitable[int]]:
    async def erase(self: UserDataStore, connection: Connection, user: UserIdentifiers, limit: int) -> int:
        return (await connection.execute(statement, {**_parameters(user), "limit": limit})).rowcount

    return erase
