"""What protocol keeps of users."""

from __future__ import annotations

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows


class ProtocolUserData(UserDataStore):
    rows = (
        UserRows(
            kind="personal_state",
            table="protocol.users",
            found_by="yandex_uid = %(yandex_uid)s",
            key="yandex_uid",
            shown=("document", "updated_at"),
        ),
    )
