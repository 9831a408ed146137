"""Postgres as `ridehail up` runs it, with the services' tables at full size.

Ids are computed from numbers, so that random orders can be looked up without reading the tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg
from psycopg import conninfo, sql

from ridehail_servers import suite
from ridehail_servers.chassis import migrations
from ridehail_servers.runtime.postgres import EmbeddedPostgres

# The full size: 600 000 orders, and 1.4 million offers, those of the orders among them.
FULL_SIZE = 600_000
_OFFERS_PER_ORDER = 7 / 3
# Lookups by order do not read offers, so larger tables than those of the full size get no more of them.
_MAX_OFFERS = 1_400_000
_FILLING = "bench_filling"
RIDER = "4000000001"
"""Whose rides all of them are: the passenger is a header, of which the load generator knows one for all requests."""
PEAK_OFFERS = "peak-"
"""Begins the ids of the offers that the peak saves, which the next one deletes."""

# Written in the order of the keys, indexes grow at their end instead of all over.
_ORDERS = """
    INSERT INTO toll_roads.orders (order_id, created_at, offer_id, can_switch_road, yandex_uid)
    SELECT md5(n::text), now() - n * interval '1 day' / %(orders)s, 'offer-' || md5(n::text), n %% 2 = 0, n::text
    FROM generate_series(1, %(orders)s) AS n
    ORDER BY 1
"""
# Every tenth order was switched once.
_LOG = """
    INSERT INTO toll_roads.log_has_toll_road (order_id, created_at, has_toll_road)
    SELECT order_id, created_at, true FROM toll_roads.orders
    UNION ALL
    SELECT order_id, created_at + interval '5 minutes', false FROM toll_roads.orders WHERE yandex_uid LIKE '%%0'
    ORDER BY 1, 2
"""
_OFFERS = """
    INSERT INTO toll_roads.offers (offer_id, created_at)
    SELECT 'offer-' || md5(n::text), now() - n * interval '1 day' / %(offers)s
    FROM generate_series(1, %(offers)s) AS n
    ORDER BY 1
"""
_RIDES = f"""
    INSERT INTO order_core.orders (order_id, yandex_uid, document, created_at, updated_at)
    SELECT md5(n::text), '{RIDER}',
        jsonb_build_object(
            'order', jsonb_build_object('version', 1, 'status', 'driving', 'rsk', 'key-' || md5(n::text))
        ),
        now(), now()
    FROM generate_series(1, %(orders)s) AS n
    ORDER BY 1
"""
# Three users of four have decided on the agreement that a whole country is shown, and half of those on another one.
_DECISIONS = """
    INSERT INTO eulas.users (yandex_uid, eula_id, status, revision, valid_till, updated_at)
    SELECT md5(n::text), eula_id, status::eulas.status_t, 9, now() + interval '1 year', now()
    FROM generate_series(1, %(users)s) AS n
    CROSS JOIN (VALUES ('surge_il', 'accepted', 4), ('child_seat_il', 'rejected', 8)) AS given (eula_id, status, share)
    WHERE n %% share < 3
    ORDER BY 1, 2
"""
# Five orders of three parts for each rider, as the services that keep them report them.
_RIDERS_ORDERS = """
    INSERT INTO order_state.orders (service, orderid, yandex_uid, reported, updated_at)
    SELECT service, md5(n::text) || '-' || number, md5(n::text), true, now()
    FROM generate_series(1, %(riders)s) AS n
    CROSS JOIN unnest(ARRAY['taxi', 'taxi', 'taxi', 'eats', 'grocery']) WITH ORDINALITY AS given (service, number)
    ORDER BY 1, 2
"""
_PARTS = """
    INSERT INTO order_state.parts (service, orderid, part_name, version, sequence)
    SELECT service, orderid, part_name, '1590674416', 1
    FROM order_state.orders
    CROSS JOIN unnest(ARRAY['fast_info', 'part2', 'route']) AS given (part_name)
    ORDER BY 1, 2, 3
"""

# Every user has set something for one to four tariffs.
_STATES = """
    INSERT INTO user_state.personal_states (yandex_uid, revision, selected_category, tariffs, updated_at)
    SELECT md5(n::text), 1 + n %% 9, 'econom', tariffs, now() - n * interval '1 second'
    FROM generate_series(1, %(users)s) AS n
    CROSS JOIN LATERAL (
        SELECT jsonb_object_agg(
            'tariff-' || number,
            jsonb_build_object('nosmoking', true, 'childchair', jsonb_build_array(3, 7), 'seats', n %% 5)
        ) AS tariffs
        FROM generate_series(1, 1 + n %% 4) AS number
    ) AS settings
    ORDER BY 1
"""
# As protocol has it.
_COPY = """
    INSERT INTO protocol.users (yandex_uid, document, updated_at)
    SELECT yandex_uid, jsonb_build_object(
        'revision', revision,
        'selected_category', selected_category,
        'tariffs', (
            SELECT jsonb_agg(jsonb_build_object('category', key, 'requirements', value)) FROM jsonb_each(tariffs)
        )
    ), updated_at
    FROM user_state.personal_states
    WHERE yandex_uid = md5('1')
    ON CONFLICT DO NOTHING
"""
# Orders that can still be switched to the free road get a document with a fixed price, which the switch resets.
_SWITCHABLE = """
    INSERT INTO order_core.orders (order_id, yandex_uid, document, created_at, updated_at)
    SELECT order_id, yandex_uid, '{"order": {"version": 1, "status": "driving",
        "fixed_price": {"price": 1290, "driver_price": 1140.5}}}', now(), now()
    FROM toll_roads.orders AS switchable
    WHERE can_switch_road AND NOT EXISTS (
        SELECT FROM toll_roads.log_has_toll_road AS log
        WHERE log.order_id = switchable.order_id AND NOT log.has_toll_road
    ) AND NOT EXISTS (SELECT FROM order_core.orders AS priced WHERE priced.order_id = switchable.order_id)
    LIMIT %s
    RETURNING yandex_uid
"""


def random_id(number: int) -> str:
    """Returns the id of the order or user with a number, from 1."""
    return hashlib.md5(str(number).encode(), usedforsecurity=False).hexdigest()


class Tables:
    """A running Postgres with one database for each size. Each method returns the URL of one, filled on first use."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._folder = folder

    def database(self, orders: int) -> str:
        sizes = {"orders": orders, "offers": min(round(orders * _OFFERS_PER_ORDER), _MAX_OFFERS)}
        return self._filled(f"bench_{orders}", ("toll_roads",), (_ORDERS, _LOG, _OFFERS), sizes)

    def agreements(self, users: int) -> str:
        """Has decisions of `users`."""
        return self._filled(f"bench_eulas_{users}", ("eulas",), (_DECISIONS,), {"users": users})

    def orders_state(self, riders: int) -> str:
        """Has five reported orders of each rider."""
        statements = (_RIDERS_ORDERS, _PARTS)
        return self._filled(f"bench_order_state_{riders}", ("order_state",), statements, {"riders": riders})

    def rides(self, rides: int) -> str:
        """Has rides of `RIDER` under way."""
        schemas = ("toll_roads", "order_core", "family", "order_route_sharing")
        return self._filled(f"bench_rides_{rides}", schemas, (_ORDERS, _LOG, _RIDES), {"orders": rides})

    def peak(self, orders: int, schemas: Sequence[str]) -> str:
        """Has the tables of toll_roads, and empty ones of everybody else."""
        url = self.database(orders)
        _migrate(url, schemas)
        with psycopg.connect(url) as connection:
            connection.execute("DELETE FROM toll_roads.offers WHERE starts_with(offer_id, %s)", (PEAK_OFFERS,))
            connection.execute("TRUNCATE order_core.orders CASCADE")
        return url

    def personal_states(self, users: int) -> str:
        return self._filled(f"bench_states_{users}", ("user_state",), (_STATES,), {"users": users})

    def both_back_ends(self, users: int) -> str:
        """Has the state of user number 1 in both back ends."""
        url = self.personal_states(users)
        _migrate(url, ("protocol",))
        with psycopg.connect(url) as connection:
            connection.execute(_COPY)
        return url

    def _filled(self, name: str, schemas: Sequence[str], statements: Sequence[str], sizes: Mapping[str, int]) -> str:
        url = conninfo.make_conninfo(self._url, dbname=name)
        with psycopg.connect(self._url, autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
                what = ", ".join(f"{size:,} {what}" for what, size in sizes.items())
                print(f"filling {', '.join(schemas)}: {what} ...", flush=True)
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(_FILLING)))
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_FILLING)))
                filling = conninfo.make_conninfo(self._url, dbname=_FILLING)
                _migrate(filling, schemas)
                _fill(filling, statements, sizes)
                # Only now does it count: a run that was broken off leaves no half-filled tables.
                rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
                connection.execute(rename.format(sql.Identifier(_FILLING), sql.Identifier(name)))
                connection.execute("CHECKPOINT")
        _migrate(url, schemas)
        return url

    def processes(self) -> list[psutil.Process]:
        """Returns Postgres' processes, the backends of open connections included."""
        server = psutil.Process(int((self._folder / "postmaster.pid").read_text().split()[0]))
        return [server, *server.children()]


def switchable(url: str, number: int) -> list[int]:
    """Returns the numbers of orders whose road can be switched, none of them twice, once they have a fixed price."""
    with psycopg.connect(url) as connection:
        return [int(uid) for (uid,) in connection.execute(_SWITCHABLE, (number,))]


@contextmanager
def tables(folder: Path) -> Iterator[Tables]:
    """Runs Postgres for the length of the block; `folder` keeps the data for later runs."""
    folder.mkdir(parents=True, exist_ok=True)
    server = EmbeddedPostgres(folder / "postgres")
    try:
        yield Tables(server.start(), folder / "postgres")
    finally:
        server.stop()


def _migrate(url: str, schemas: Sequence[str]) -> None:
    folders = {one.schema: one.migrations_folder for one in suite.SERVICES.values() if one.schema}
    for schema in schemas:
        migrations.migrate(url, schema, folders[schema])


def _fill(url: str, statements: Sequence[str], sizes: Mapping[str, int]) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET work_mem = '256MB'")
        connection.execute("SET synchronous_commit = off")
        # Every log row's order was just written; to look each of them up takes as long as to write them.
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode(), sizes)
        connection.execute("VACUUM (ANALYZE)")
