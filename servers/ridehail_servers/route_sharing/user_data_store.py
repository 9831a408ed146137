"""What route_sharing keeps of users: their rides, and their phones in those of others."""

from __future__ import annotations

from typing import Final, LiteralString

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows

_OWN: Final[LiteralString] = "(yandex_uid = %(yandex_uid)s OR order_id = ANY(%(order_ids)s::text[]))"
# Accounts of admins are numbers here.
_ADMIN: Final[LiteralString] = (
    "admin_uid = CASE WHEN %(yandex_uid)s::text ~ '^[0-9]{1,18}$' THEN %(yandex_uid)s::text::bigint END"
)


class RouteSharingUserData(UserDataStore):
    rows = (
        UserRows(
            kind="ride",
            table="order_route_sharing.sharing_keys",
            found_by=_OWN,
            key="sharing_key",
            shown=("sharing_key", "order_id", "created_at"),
        ),
        # The rides are others', so their keys are not shown.
        UserRows(
            kind="phone_of_shared_ride",
            table="order_route_sharing.phone_ids",
            found_by="phone_id = ANY(%(phone_ids)s::text[])",
            key="sharing_key || ' ' || origin || ' ' || phone_id",
            shown=("phone_id", "origin"),
        ),
        # A family's admin ends with the admin: so does what others share with it.
        UserRows(
            kind="phone_of_family_ride",
            table="order_route_sharing.phone_ids",
            found_by=f"""
                origin = 'family'
                AND sharing_key IN (SELECT sharing_key FROM order_route_sharing.family_rides WHERE {_ADMIN})
                """,
        ),
        UserRows(
            kind="family_ride",
            table="order_route_sharing.family_rides",
            found_by=_ADMIN,
            key="sharing_key",
            shown=("admin_uid", "admin_name", "sharing_on", "updated_at"),
        ),
        # What family has published. The version stays, so that nothing older comes back.
        UserRows(
            kind="followed_member",
            table="order_route_sharing.family_members",
            found_by="(yandex_uid = %(yandex_uid)s OR phone_id = ANY(%(phone_ids)s::text[]))",
            key="family_id || ' ' || membership_id",
            shown=("family_id", "phone_id"),
        ),
        UserRows(
            kind="followed_family",
            table="order_route_sharing.families",
            found_by=_ADMIN,
            key="family_id",
            shown=("family_id", "admin_uid", "admin_name", "used_at"),
            erase=f"""
                UPDATE order_route_sharing.families SET admin_uid = NULL, admin_name = NULL WHERE {_ADMIN}
                """,
        ),
        UserRows(
            kind="insert_request",
            table="order_route_sharing.insert_order_requests",
            found_by=_OWN,
            key="lpad(request_id::text, 19, '0')",
            shown=("order_id", "sharing_key", "phone_ids", "requested_at"),
        ),
        UserRows(
            kind="phone_of_insert_request",
            table="order_route_sharing.insert_order_requests",
            found_by="phone_ids && %(phone_ids)s::text[]",
            erase="""
                UPDATE order_route_sharing.insert_order_requests
                SET phone_ids = ARRAY(SELECT one FROM unnest(phone_ids) AS one WHERE one <> ALL(%(phone_ids)s::text[]))
                WHERE request_id = ANY(ARRAY(
                    SELECT request_id FROM order_route_sharing.insert_order_requests
                    WHERE phone_ids && %(phone_ids)s::text[] LIMIT %(limit)s FOR UPDATE
                ))
                """,
        ),
    )
    orders = """
        SELECT order_id FROM order_route_sharing.sharing_keys
        WHERE yandex_uid = %(yandex_uid)s AND order_id > %(after)s
        ORDER BY order_id LIMIT %(limit)s
        """
