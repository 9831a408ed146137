"""The gRPC service of users' data, as every service with a database serves it."""

from __future__ import annotations

from typing import Any, Final

import grpc

from ridehail.userdata.v1 import user_data_api_pb2 as api
from ridehail.userdata.v1 import user_data_api_pb2_grpc as api_grpc
from ridehail.userdata.v1 import user_data_pb2

from .database import Database
from .user_data import ERASED_AT_ONCE, FoundUserData, PageBudget, PageStart, UserIdentifiers, UserRecord
from .user_data_store import UserDataStore

Context = grpc.aio.ServicerContext[Any, Any]

# Records can be large: few are read that do not fit into the page. A page has a multiple of them.
_READ_AT_ONCE: Final = 10


class UserData:
    """Finds, pages and erases what one service keeps of a user."""

    def __init__(self, database: Database, store: UserDataStore, *, erased_at_once: int = ERASED_AT_ONCE) -> None:
        self._database = database
        self._store = store
        self._erased_at_once = erased_at_once

    async def find(self, user: UserIdentifiers, after_order_id: str) -> FoundUserData:
        """Counts a user's records and lists what identifies the user; after an order only its further orders."""
        store, first = self._store, not after_order_id
        async with self._database.connection() as connection:
            counts = {
                rows.kind: await store.call(f"count_{rows.kind}", connection, user)
                for rows in store.rows
                if first and rows.is_erased
            }
            return FoundUserData(
                counts={kind: count for kind, count in counts.items() if count},
                has_active_orders=first
                and store.active_orders is not None
                and await store.call("has_active_orders", connection, user),
                pending=await store.call("count_pending", connection, user) if first and store.pending else 0,
                phone_ids=await store.call("list_phones", connection, user) if first and store.phones else [],
                order_ids=await store.call("list_orders", connection, user, after_order_id) if store.orders else [],
            )

    async def page(self, user: UserIdentifiers, token: str) -> tuple[list[UserRecord], str]:
        """Returns records, and the token of the next page, which is empty after the last.

        Raises:
            InvalidRequest: The token is none of this service.
        """
        kinds = [rows.kind for rows in self._store.rows if rows.shown]
        start, budget = PageStart.read(token, kinds), PageBudget()
        page: list[UserRecord] = []
        async with self._database.connection() as connection:
            for kind in kinds[kinds.index(start.kind) :]:
                after = start.after if kind == start.kind else ""
                while True:
                    records = await self._store.call(f"page_of_{kind}", connection, user, after, _READ_AT_ONCE)
                    fitting = budget.fitting(records)
                    page += fitting
                    after = fitting[-1].key if fitting else after
                    if len(fitting) < len(records) or not budget.rows:
                        return page, PageStart(kind, after).token()
                    if len(records) < _READ_AT_ONCE:
                        break
        return page, ""

    async def erase(self, user: UserIdentifiers) -> dict[str, int]:
        """Erases some of a user's records in one transaction; returns how many of each kind, or nothing without any."""
        erased: dict[str, int] = {}
        async with self._database.transaction() as connection:
            for rows in self._store.rows:
                if not rows.is_erased:
                    continue
                count = await self._store.call(f"erase_{rows.kind}", connection, user, self._erased_at_once)
                if count:
                    erased[rows.kind] = count
                if count >= self._erased_at_once:
                    break  # rows that others refer to have to wait
        return erased


class UserDataServicer(api_grpc.UserDataServiceServicer):
    def __init__(self, database: Database, store: UserDataStore) -> None:
        self._data = UserData(database, store)

    async def FindUserData(self, request: api.FindUserDataRequest, context: Context) -> api.FindUserDataResponse:
        found = await self._data.find(_user(request.user), request.after_order_id)
        return api.FindUserDataResponse(
            found=_counts(found.counts),
            has_active_orders=found.has_active_orders,
            pending=found.pending,
            phone_ids=found.phone_ids,
            order_ids=found.order_ids,
        )

    async def ExportUserData(self, request: api.ExportUserDataRequest, context: Context) -> api.ExportUserDataResponse:
        records, token = await self._data.page(_user(request.user), request.page_token)
        return api.ExportUserDataResponse(
            records=[user_data_pb2.UserRecord(kind=one.kind, content=one.content) for one in records],
            next_page_token=token,
        )

    async def EraseUserData(self, request: api.EraseUserDataRequest, context: Context) -> api.EraseUserDataResponse:
        return api.EraseUserDataResponse(erased=_counts(await self._data.erase(_user(request.user))))


def _user(user: user_data_pb2.UserIdentifiers) -> UserIdentifiers:
    return UserIdentifiers(user.yandex_uid, tuple(user.phone_ids), tuple(user.order_ids))


def _counts(counts: dict[str, int]) -> list[user_data_pb2.RecordCount]:
    return [user_data_pb2.RecordCount(kind=kind, records=records) for kind, records in counts.items()]
