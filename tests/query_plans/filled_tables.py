"""A database with the tables of many riders, and the statistics of one with a hundred times as many."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from tests.support.databases import SCHEMAS

RIDERS = 10_000
TIMES = 100

_FILL = (
    # A third of the orders and changes is in the archive, in batches of a thousand.
    """
    INSERT INTO toll_roads.offers
    SELECT 'offer-' || n, now() - n * interval '8 s' FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO toll_roads.orders (order_id, created_at, offer_id, can_switch_road, yandex_uid, archive_batch)
    SELECT 'order-' || n, now() - n * interval '8 s', 'offer-' || n, n % 2 = 0, 'rider-' || n,
        CASE WHEN n * 3 > {riders} * 2 THEN n / 1000 END
    FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road, archive_batch)
    SELECT order_id, created_at + number * interval '1 min', number = 0, archive_batch
    FROM toll_roads.orders CROSS JOIN generate_series(0, 1) AS number
    """,
    """
    INSERT INTO toll_roads.archive_batches
    SELECT table_name, batch, now(), now()
    FROM unnest(ARRAY['orders', 'log_has_toll_road']) AS table_name, generate_series(1, {riders} / 1000) AS batch
    """,
    """
    INSERT INTO toll_roads.order_save_requests
        (order_id, created_at, can_switch_road, user_chose_toll_road, requested_at, refused_because)
    SELECT 'order-' || n, now(), true, true, now() - n * interval '8 s', CASE WHEN n % 2 = 0 THEN 'other data' END
    FROM generate_series(1, {riders} / 10) AS n
    """,
    """
    INSERT INTO toll_roads.procrastinate_jobs (queue_name, task_name, status)
    SELECT 'default', 'toll_roads_order_save', CASE WHEN n % 100 = 0 THEN 'todo' ELSE 'failed' END
        ::toll_roads.procrastinate_job_status
    FROM generate_series(1, {riders} / 10) AS n
    """,
    """
    INSERT INTO toll_roads.procrastinate_events (job_id, type)
    SELECT id, 'deferred' FROM toll_roads.procrastinate_jobs
    """,
    # One order of ten is under way.
    """
    INSERT INTO order_core.orders
    SELECT 'order-' || n, 'rider-' || n % ({riders} / 5), jsonb_build_object('order', jsonb_build_object(
        'version', 1, 'status', CASE WHEN n % 10 = 0 THEN 'driving' ELSE 'finished' END
    )), now() - n * interval '1 min', now()
    FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO order_core.processing_events (order_id, version, created_at)
    SELECT 'order-' || n, 1, now() FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO eats_orders.orders
    SELECT 'order-' || n, 'rider-' || n % ({riders} / 5), 'cooking', '{{}}', '{{}}', n % 10 > 0, 1,
        now() - n * interval '1 min', now()
    FROM generate_series(1, {riders}) AS n
    """,
    "INSERT INTO grocery_orders.orders SELECT * FROM eats_orders.orders",
    # Two orders of two parts for each rider, one of them finished.
    """
    INSERT INTO order_state.orders
    SELECT (ARRAY['taxi', 'eats', 'grocery'])[1 + n % 3], 'order-' || n, 'rider-' || n / 2, true, n % 2 = 0, 1,
        now() - n * interval '8 s'
    FROM generate_series(1, {riders} * 2) AS n
    """,
    """
    INSERT INTO order_state.parts
    SELECT service, orderid, part_name, '1590674416', 1
    FROM order_state.orders CROSS JOIN unnest(ARRAY['fast_info', 'route']) AS part_name
    """,
    # Counts of a day for each hundred riders, and a sample of one of a thousand parts for each ten.
    """
    INSERT INTO order_state.invalid_parts
    SELECT now() - n * interval '1 hour', 'taxi', 'part-' || part, 'missing', 1
    FROM generate_series(1, {riders} * 24 / 100) AS n, generate_series(1, 4) AS part
    """,
    """
    INSERT INTO order_state.invalid_part_samples
    SELECT 'taxi', 'part-' || n % ({riders} / 100), 'missing', n, '[["$", "object"]]', 1,
        now() - n * interval '1 min', now() - n * interval '1 min'
    FROM generate_series(1, {riders} / 10) AS n
    """,
    # Two decisions for each rider, each made twice.
    """
    INSERT INTO eulas.users
    SELECT 'rider-' || n, 'eula-' || eula, 'accepted', 1, now() + (n - {riders} / 10) * interval '1 hour'
    FROM generate_series(1, {riders}) AS n, generate_series(1, 2) AS eula
    """,
    """
    INSERT INTO eulas.user_keys SELECT 'rider-' || n FROM generate_series(1, {riders}, 2) AS n
    """,
    # Half of the riders' entries are of an earlier release.
    """
    INSERT INTO eulas.decisions_log (yandex_uid, pseudonym, eula_id, status, revision, valid_till, decided_at, source)
    SELECT CASE WHEN pseudonym IS NULL THEN yandex_uid END, pseudonym, eula_id, status, revision, valid_till,
        updated_at, 'passenger'
    FROM eulas.users LEFT JOIN eulas.user_keys USING (yandex_uid), generate_series(1, 2)
    """,
    # Erasures, of which one in a thousand goes on.
    """
    INSERT INTO user_data.jobs (job_id, kind, pseudonym, requested_by, requested_at, next_run_at, ended_at)
    SELECT 'job-' || n, 'erasure', n, 'ticket-' || n, now() - n * interval '1 min',
        CASE WHEN n % 1000 = 0 THEN now() END, CASE WHEN n % 1000 > 0 THEN now() - n * interval '1 min' END
    FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO user_data.subjects
    SELECT job_id, kind, 'rider-' || pseudonym, '', '{{}}', '{{}}' FROM user_data.jobs WHERE next_run_at IS NOT NULL
    """,
    """
    INSERT INTO user_data.job_services (job_id, service)
    SELECT job_id, unnest(ARRAY['eulas', 'order-core', 'toll-roads']) FROM user_data.jobs
    """,
    "INSERT INTO user_data.job_counts SELECT job_id, service, 'order', 1, 1 FROM user_data.job_services",
    """
    INSERT INTO toll_roads.archive_erasures
    SELECT sha256(n::text::bytea), CASE WHEN n % 1000 = 0 THEN 'order-' || n END, now() - n * interval '8 s'
    FROM generate_series(1, {riders}) AS n
    """,
    # Agreements are few; each was changed ten times.
    """
    INSERT INTO eulas.agreement_changes
    SELECT n + 1, 'eula-' || n % ({riders} / 10), 'updated', n, jsonb_build_object(
        'eula_id', 'eula', 'type', 't', 'revision', 1, 'ttl_s', 1, 'rejectable', true, 'title', '{{"en": "T"}}'::jsonb
    ), n, n % 2 = 0, 'admin', 'anna', now()
    FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO eulas.agreements
        (eula_id, kind, position, content, version, base_version, source, actor, changed_at)
    SELECT eula_id, kind, position, content, version, base_version, source, actor, changed_at
    FROM eulas.agreement_changes WHERE version <= {riders} / 100 + 1
    """,
    """
    INSERT INTO eulas.resign_runs (version, eula_id, revision, expected, requested_at, finished_at)
    SELECT version, eula_id, 1, 1, now(), CASE WHEN version % 1000 > 0 THEN now() END
    FROM eulas.agreement_changes WHERE asks_again
    """,
    # Families of four.
    """
    INSERT INTO family.families (family_id, admin_name, created_at, published_version, unpublished_since, disbanded_at)
    SELECT 'family-' || n, 'Anna', now(), CASE WHEN n % 100 = 0 THEN 0 ELSE 1 END,
        CASE WHEN n % 100 = 0 THEN now() - n * interval '8 s' END, CASE WHEN n % 99 = 0 THEN now() END
    FROM generate_series(0, {riders} / 4) AS n
    """,
    """
    INSERT INTO family.members (family_id, yandex_uid, phone_id, role, added_at)
    SELECT 'family-' || n / 4, 'rider-' || n, 'phone-' || n, CASE WHEN n % 4 = 0 THEN 'owner' ELSE 'user' END, now()
    FROM generate_series(1, {riders}) AS n
    """,
    # An invitation of each fourth rider, a third of them closed.
    """
    INSERT INTO family.invitations
        (invitation_id, family_id, phone_id, name, invited_by, created_at, expires_at, closed_at)
    SELECT 'invitation-' || n, 'family-' || n / 4, 'phone-' || n, 'Anna', 'rider-' || n, now() - n * interval '8 s',
        now() - (n - 1000) * interval '8 s', CASE WHEN n % 3 = 0 THEN now() END
    FROM generate_series(1, {riders}, 4) AS n
    """,
    # A ride of each rider, shared with two phones, and every fourth with a family.
    """
    INSERT INTO order_route_sharing.sharing_keys
    SELECT 'key-' || n, 'order-' || n, 'rider-' || n, now() - n * interval '8 s' FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO order_route_sharing.phone_ids
    SELECT sharing_key, sharing_key || '-phone', origin
    FROM order_route_sharing.sharing_keys, unnest(ARRAY['order', 'family']) AS origin
    """,
    """
    INSERT INTO order_route_sharing.families
    SELECT 'family-' || n, 1, n, 'Anna', now() - n * interval '8 s' FROM generate_series(0, {riders} / 4) AS n
    """,
    """
    INSERT INTO order_route_sharing.family_members
    SELECT 'family-' || n / 4, 'membership-' || n, 'rider-' || n, 'phone-' || n FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO order_route_sharing.family_rides (sharing_key, family_id, membership_id, sharing_on, updated_at)
    SELECT 'key-' || n, 'family-' || n / 4, 'membership-' || n, n % 8 = 0, now()
    FROM generate_series(1, {riders}, 4) AS n
    """,
    """
    INSERT INTO order_route_sharing.insert_order_requests (order_id, sharing_key, phone_ids, requested_at)
    SELECT 'order-' || n, 'key-' || n, '{{}}', now() - n * interval '8 s' FROM generate_series(1, {riders} / 10) AS n
    """,
    """
    INSERT INTO user_state.personal_states
    SELECT 'rider-' || n, 1, 'econom', '{{"econom": {{"nosmoking": true}}}}', now() - n * interval '8 s'
    FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO user_state.comparisons
    SELECT now() - n * interval '1 min', kind, verdict, 1, 7
    FROM generate_series(1, {riders} / 10) AS n,
        unnest(enum_range(NULL::user_state.kind_t)) AS kind, unnest(enum_range(NULL::user_state.verdict_t)) AS verdict
    """,
    """
    INSERT INTO user_state.mismatches (at, request_id, kind, old_status, new_status, differences)
    SELECT now() - n * interval '8 s', 'request-' || n, 'read', 200, 200, '[]' FROM generate_series(1, {riders}) AS n
    """,
    """
    INSERT INTO protocol.users
    SELECT yandex_uid, jsonb_build_object('revision', '1', 'selected_category', 'econom', 'tariffs', '[]'::jsonb),
        updated_at
    FROM user_state.personal_states
    """,
    # A batch has a thousand rows, however many batches there are.
    "ALTER TABLE toll_roads.orders ALTER archive_batch SET (n_distinct = -0.001)",
    "ALTER TABLE toll_roads.log_has_toll_road ALTER archive_batch SET (n_distinct = -0.001)",
)

_TABLES = """
    SELECT pg_namespace.nspname, relname
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY(%s) AND relkind = 'r' AND relname !~ 'yoyo'
"""
_CHECKS = """
    SELECT conrelid::regclass::text, conname FROM pg_constraint
    WHERE connamespace::regnamespace::text = ANY(%s) AND contype = 'c'
"""
# The planner takes the number of rows of a page from the statistics, and the number of pages from the file.
_GROW = """
    SELECT pg_restore_relation_stats(
        'schemaname', nspname::text, 'relname', relname::text, 'reltuples', (reltuples * %s)::real
    )
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE nspname = ANY(%s) AND relkind IN ('r', 'i') AND reltuples > 0
"""


def fill(connection: psycopg.Connection, riders: int = RIDERS) -> None:
    """Fills all tables; the connection is the owner's, in autocommit mode."""
    connection.execute("SET session_replication_role = replica")
    for schema, table in _tables(connection):
        # Its statistics change only when the test says so.
        connection.execute(
            sql.SQL("ALTER TABLE {} SET (autovacuum_enabled = off)").format(sql.Identifier(schema, table))
        )
    for statement in _FILL:
        connection.execute(statement.format(riders=riders).encode())
    connection.execute("VACUUM (ANALYZE)")


def drop_checks(connection: psycopg.Connection) -> None:
    """Lets tables take rows whose values are samples of types."""
    for table, name in connection.execute(_CHECKS, (list(SCHEMAS),)).fetchall():
        connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'.encode())


def grow(connection: psycopg.Connection) -> None:
    """Makes the planner expect `TIMES` as many rows."""
    connection.execute(_GROW, (TIMES, list(SCHEMAS)))


def empty(connection: psycopg.Connection) -> Iterator[str]:
    """Yields the tables without any row."""
    for schema, table in _tables(connection):
        found = connection.execute(sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(schema, table)))
        if found.fetchone() is None:
            yield f"{schema}.{table}"


def _tables(connection: psycopg.Connection) -> list[tuple[str, str]]:
    return connection.execute(_TABLES, (list(SCHEMAS),)).fetchall()
