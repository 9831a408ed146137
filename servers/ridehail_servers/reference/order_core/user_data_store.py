"""What order_core keeps of users."""

from __future__ import annotations

from typing import Final, LiteralString

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows

# In the words of the index orders_active_idx: only then does Postgres use it (see `document.FINAL_STATUSES`).
_ACTIVE: Final[LiteralString] = """
    yandex_uid = %(yandex_uid)s AND coalesce(document -> 'order' ->> 'status', '')
        NOT IN ('cancelled', 'complete', 'expired', 'failed', 'finished')
    """
_ENDED: Final[LiteralString] = """
    yandex_uid = %(yandex_uid)s AND coalesce(document -> 'order' ->> 'status', '')
        IN ('cancelled', 'complete', 'expired', 'failed', 'finished')
    """
_SHOWN: Final = ("order_id", "document", "created_at", "updated_at")


class OrderCoreUserData(UserDataStore):
    rows = (
        UserRows(
            kind="processing_event",
            table="order_core.processing_events",
            found_by=f"order_id IN (SELECT order_id FROM order_core.orders WHERE {_ENDED})",
            key="lpad(id::text, 19, '0')",
            shown=("order_id", "version", "created_at"),
        ),
        UserRows(kind="order", table="order_core.orders", found_by=_ENDED, key="order_id", shown=_SHOWN),
        UserRows(
            kind="active_order", table="order_core.orders", found_by=_ACTIVE, key="order_id", shown=_SHOWN, erase=""
        ),
    )
    active_orders = f"SELECT EXISTS (SELECT FROM order_core.orders WHERE {_ACTIVE})"
    orders = """
        SELECT order_id FROM order_core.orders
        WHERE yandex_uid = %(yandex_uid)s AND order_id > %(after)s
        ORDER BY order_id LIMIT %(limit)s
        """
