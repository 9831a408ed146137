"""What user_state keeps of users."""

from __future__ import annotations

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows


class UserStateUserData(UserDataStore):
    rows = (
        UserRows(
            kind="personal_state",
            table="user_state.personal_states",
            found_by="yandex_uid = %(yandex_uid)s",
            key="yandex_uid",
            shown=("revision", "selected_category", "tariffs", "updated_at"),
        ),
    )
    not_of_users = {  # read only
        "comparisons": "counts only",
        "mismatches": "request ids, paths and keyed hashes only, by which nobody finds a user; deleted after days",
    }
