"""A user with data in every table, beside another one who keeps theirs; and all that a database holds, as text."""

from __future__ import annotations

from psycopg import sql

from tests.support.databases import SCHEMAS
from tests.support.suite_in_process import SuiteInProcess

UID = "7654321987001"
PHONE = "canary-phone-of-the-user"
NAME = "canary-name-of-the-user"
ORDERS = ("canary-order-1", "canary-order-2")
PLANTED = (UID, PHONE, NAME, *ORDERS)

OTHER_UID = "7000000000002"
OTHER_PHONE = "phone-of-another"

# With {uid}, {phone}, {name} and {order}: what each service stores of a user, in the tables as they are.
_STATEMENTS = (
    """
    INSERT INTO order_core.orders VALUES ('{order}-1', '{uid}',
        '{{"order": {{"version": 1, "status": "finished", "user_id": "{name}"}}}}', now(), now())
    """,
    """
    INSERT INTO order_core.orders VALUES ('{order}-2', '{uid}', '{{"order": {{"version": 1, "status": "complete"}}}}',
        now(), now())
    """,
    "INSERT INTO order_core.processing_events (order_id, version, created_at) VALUES ('{order}-1', 1, now())",
    "INSERT INTO eats_orders.orders VALUES ('{order}-1', '{uid}', 'done', '{{}}', '{{}}', true, 1, now(), now())",
    "INSERT INTO grocery_orders.orders VALUES ('{order}-1', '{uid}', 'done', '{{}}', '{{}}', true, 1, now(), now())",
    """
    INSERT INTO order_state.orders (service, orderid, yandex_uid, updated_at)
    VALUES ('taxi', '{order}-1', '{uid}', now())
    """,
    "INSERT INTO order_state.parts VALUES ('taxi', '{order}-1', 'route', '1', 1)",
    """
    INSERT INTO toll_roads.orders (order_id, created_at, can_switch_road, yandex_uid)
    VALUES ('{order}-1', now(), true, '{uid}'), ('{order}-2', now(), false, NULL)
    """,
    "INSERT INTO toll_roads.log_has_toll_road VALUES ('{order}-1', now(), true), ('{order}-2', now(), true)",
    """
    INSERT INTO toll_roads.order_save_requests
        (order_id, created_at, can_switch_road, user_chose_toll_road, yandex_uid, requested_at)
    VALUES ('{order}-1', now(), true, true, '{uid}', now())
    """,
    "INSERT INTO eulas.users VALUES ('{uid}', 'sdc', 'accepted', 1, now())",
    # An entry of an earlier release, and one of this.
    """
    INSERT INTO eulas.decisions_log (yandex_uid, eula_id, status, revision, valid_till, decided_at, source)
    VALUES ('{uid}', 'sdc', 'rejected', 1, now(), now(), 'passenger')
    """,
    "INSERT INTO eulas.user_keys (yandex_uid) VALUES ('{uid}')",
    """
    INSERT INTO eulas.decisions_log (pseudonym, eula_id, status, revision, valid_till, decided_at, source)
    SELECT pseudonym, 'sdc', 'accepted', 1, now(), now(), 'passenger' FROM eulas.user_keys WHERE yandex_uid = '{uid}'
    """,
    "INSERT INTO family.families (family_id, admin_name, created_at) VALUES ('family-{number}', '{name}', now())",
    """
    INSERT INTO family.members (family_id, yandex_uid, phone_id, role, added_at)
    VALUES ('family-{number}', '{uid}', '{phone}', 'owner', now())
    """,
    """
    INSERT INTO order_route_sharing.families (family_id, version, admin_uid, admin_name, used_at)
    VALUES ('family-{number}', 1, {uid}, '{name}', now())
    """,
    "INSERT INTO order_route_sharing.family_members VALUES ('family-{number}', 'membership', '{uid}', '{phone}')",
    "INSERT INTO order_route_sharing.sharing_keys VALUES ('key-{uid}', '{order}-1', '{uid}', now())",
    # A ride of somebody, shared with the user's family and phone.
    "INSERT INTO order_route_sharing.sharing_keys VALUES ('family-key-{order}', 'ride-{order}', 'someone', now())",
    "INSERT INTO order_route_sharing.phone_ids VALUES ('family-key-{order}', '{phone}', 'family')",
    """
    INSERT INTO order_route_sharing.family_rides (sharing_key, admin_uid, admin_name, sharing_on, updated_at)
    VALUES ('family-key-{order}', {uid}, '{name}', true, now())
    """,
    """
    INSERT INTO order_route_sharing.insert_order_requests (order_id, sharing_key, phone_ids, yandex_uid, requested_at)
    VALUES ('{order}-1', 'key-{uid}', '{{}}', '{uid}', now()),
        ('of-others', 'of-others', '{{{phone},kept}}', NULL, now())
    """,
    "INSERT INTO user_state.personal_states VALUES ('{uid}', 1, 'econom', '{{}}', now())",
    "INSERT INTO protocol.users VALUES ('{uid}', '{{\"revision\": 1, \"tariffs\": []}}', now())",
)


async def plant(suite: SuiteInProcess) -> None:
    """Stores the data of the user and of another one."""
    await _store(suite, uid=UID, phone=PHONE, name=NAME, order="canary-order", number="1")
    await _store(suite, uid=OTHER_UID, phone=OTHER_PHONE, name="name-of-another", order="order-of-another", number="2")


async def _store(suite: SuiteInProcess, **names: str) -> None:
    for statement in _STATEMENTS:
        await suite.execute(statement.format(**names))


async def everything(suite: SuiteInProcess) -> dict[str, str]:
    """Returns all rows of all tables of all services, as text by table."""
    tables = await suite.rows(
        """
        SELECT schemaname, tablename FROM pg_tables
        WHERE schemaname = ANY(%s) AND NOT starts_with(tablename, '_yoyo') AND NOT starts_with(tablename, 'yoyo')
        """,
        list(SCHEMAS),
    )
    texts: dict[str, str] = {}
    for schema, table in tables:
        name = sql.Identifier(str(schema), str(table)).as_string()
        found = await suite.rows(f"SELECT coalesce(string_agg(one::text, ' '), '') FROM {name} AS one")
        texts[f"{schema}.{table}"] = str(found[0][0])
    return texts


async def found_in(suite: SuiteInProcess, *values: str) -> set[str]:
    """Returns the tables that hold one of the values anywhere."""
    return {table for table, text in (await everything(suite)).items() for value in values if value in text}
