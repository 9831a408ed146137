"""What a service that keeps orders keeps of users. Several services share it, so no schema is named."""

from __future__ import annotations

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows


class ProviderUserData(UserDataStore):
    rows = (
        UserRows(
            kind="order",
            table="orders",
            found_by="yandex_uid = %(yandex_uid)s AND finished",
            key="orderid",
            shown=("orderid", "status", "parts", "details", "finished", "created_at", "updated_at"),
        ),
        UserRows(
            kind="active_order",
            table="orders",
            found_by="yandex_uid = %(yandex_uid)s AND NOT finished",
            key="orderid",
            shown=("orderid", "status", "parts", "details", "finished", "created_at", "updated_at"),
            erase="",
        ),
    )
    active_orders = "SELECT EXISTS (SELECT FROM orders WHERE yandex_uid = %(yandex_uid)s AND NOT finished)"
