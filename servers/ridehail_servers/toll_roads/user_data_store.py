"""What toll_roads keeps of users: in the database, and without its passenger in the archive."""

from __future__ import annotations

from typing import Final, LiteralString

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows

_OWN: Final[LiteralString] = "(yandex_uid = %(yandex_uid)s OR order_id = ANY(%(order_ids)s::text[]))"


class TollRoadsUserData(UserDataStore):
    rows = (
        # Whatever the archive has of them; nobody knows before it is read.
        UserRows(
            kind="archived_order",
            table="toll_roads.orders",
            found_by="false",
            erase="""
                INSERT INTO toll_roads.archive_erasures (order_hash, order_id, requested_at)
                SELECT sha256(convert_to(order_id, 'UTF8')), order_id, now() FROM (
                    SELECT unnest(%(order_ids)s::text[]) AS order_id
                    UNION
                    SELECT order_id FROM toll_roads.orders WHERE yandex_uid = %(yandex_uid)s
                ) AS own
                ON CONFLICT (order_hash) DO NOTHING
                """,
        ),
        UserRows(
            kind="road_change",
            table="toll_roads.log_has_toll_road",
            found_by=f"order_id IN (SELECT order_id FROM toll_roads.orders WHERE {_OWN})",
            key="order_id || ' ' || created_at",
            shown=("order_id", "created_at", "has_toll_road"),
        ),
        UserRows(
            kind="order",
            table="toll_roads.orders",
            found_by=_OWN,
            key="order_id",
            shown=("order_id", "created_at", "offer_id", "can_switch_road"),
        ),
        UserRows(
            kind="save_request",
            table="toll_roads.order_save_requests",
            found_by=_OWN,
            key="lpad(request_id::text, 19, '0')",
            shown=("order_id", "created_at", "offer_id", "can_switch_road", "user_chose_toll_road", "requested_at"),
        ),
    )
    not_of_users = {  # read only
        "offers": "ids of offers only, which no row joins to a user once the order is erased; deleted after a day",
        "archive_batches": "numbers of batches only",
        "archive_erasures": "ids of orders until the archive has erased them, then hashes of ids; deleted after days",
    }
    orders = """
        SELECT order_id FROM toll_roads.orders
        WHERE yandex_uid = %(yandex_uid)s AND order_id > %(after)s
        ORDER BY order_id LIMIT %(limit)s
        """
    pending = """
        SELECT count(order_id) FROM toll_roads.archive_erasures
        WHERE order_hash = ANY(ARRAY(SELECT sha256(convert_to(one, 'UTF8')) FROM unnest(%(order_ids)s::text[]) AS one))
        """
