"""What order_state keeps of users."""

from __future__ import annotations

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows


class OrderStateUserData(UserDataStore):
    rows = (
        UserRows(
            kind="order",
            table="order_state.orders",
            found_by="yandex_uid = %(yandex_uid)s",
            key="service || ' ' || orderid",
            shown=("service", "orderid", "reported", "finished", "updated_at"),
        ),
    )
    not_of_users = {  # read only
        "parts": "go with their order",
        "invalid_parts": "counts only",
        "invalid_part_samples": "shapes of parts without a value; deleted after days",
    }
