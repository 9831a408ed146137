"""What family keeps of users. A change of a family is a new version, which those who follow families are sent."""

from __future__ import annotations

from typing import Final, LiteralString

from ridehail_servers.chassis.user_data_store import UserDataStore, UserRows

_OWN: Final[LiteralString] = """
    own AS (SELECT family_id FROM family.members WHERE yandex_uid = %(yandex_uid)s AND role = {role}),
    -- Whoever changes a family locks it before its members.
    locked AS (
        SELECT family_id FROM family.families WHERE family_id IN (SELECT family_id FROM own) FOR NO KEY UPDATE
    )
    """
_NEXT_VERSION: Final[LiteralString] = """
    version = version + 1, unpublished_since = coalesce(unpublished_since, now())
    """


class FamilyUserData(UserDataStore):
    rows = (
        # Whoever sent, got or accepted one; of others' phones nothing is shown.
        UserRows(
            kind="invitation",
            table="family.invitations",
            found_by="""
                (invited_by = %(yandex_uid)s OR accepted_by = %(yandex_uid)s OR phone_id = ANY(%(phone_ids)s::text[]))
                """,
            key="invitation_id",
            shown=("family_id", "name", "created_at", "expires_at"),
        ),
        # A family ends with its admin, and that is yet to be published.
        UserRows(
            kind="family",
            table="family.families",
            found_by="""
                family_id = (SELECT family_id FROM family.members WHERE yandex_uid = %(yandex_uid)s AND role = 'owner')
                """,
            key="family_id",
            shown=("family_id", "admin_name", "created_at"),
            erase=f"""
                WITH {_OWN.format(role="'owner'")}, gone AS (
                    DELETE FROM family.members WHERE family_id IN (SELECT family_id FROM locked) RETURNING family_id
                )
                UPDATE family.families SET admin_name = '', disbanded_at = now(), {_NEXT_VERSION}
                WHERE family_id IN (SELECT family_id FROM gone)
                """,
        ),
        UserRows(
            kind="membership",
            table="family.members",
            found_by="yandex_uid = %(yandex_uid)s",
            key="lpad(member_number::text, 19, '0')",
            shown=("family_id", "phone_id", "role", "name", "added_at"),
            erase=f"""
                WITH {_OWN.format(role="'user'")}, gone AS (
                    DELETE FROM family.members
                    WHERE yandex_uid = %(yandex_uid)s AND family_id IN (SELECT family_id FROM locked)
                    RETURNING family_id
                )
                UPDATE family.families SET {_NEXT_VERSION} WHERE family_id IN (SELECT family_id FROM gone)
                """,
        ),
    )
    phones = "SELECT phone_id FROM family.members WHERE yandex_uid = %(yandex_uid)s"
