"""Migrations: forward, back, by two at once; and the roles that reach one schema only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from ridehail_servers.chassis import migrations
from ridehail_servers.chassis.database import PoolSettings, session_settings
from tests.support.databases import SCHEMAS, empty_database, migrations_of
from tests.support.up import cli

# Everything that a schema may hold, in words. yoyo's own record is no part of a service's schema.
DUMP = """
SELECT 'column', c.relname, a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || ' ' || a.attnotnull::text
        || ' ' || a.attidentity::text || ' ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE c.relnamespace = %(schema)s::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid)
    FROM pg_constraint WHERE connamespace = %(schema)s::regnamespace
UNION ALL SELECT 'index', tablename::text, indexdef FROM pg_indexes WHERE schemaname = %(schema)s::text
UNION ALL SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid)
    FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace AND prokind IN ('f', 'p')
UNION ALL SELECT 'trigger', tgrelid::regclass::text, pg_get_triggerdef(pg_trigger.oid)
    FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE relnamespace = %(schema)s::regnamespace AND NOT tgisinternal
UNION ALL SELECT 'enum', enumtypid::regtype::text, enumlabel::text
    FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid WHERE typnamespace = %(schema)s::regnamespace
UNION ALL SELECT 'type', typname::text, typtype::text
    FROM pg_type WHERE typnamespace = %(schema)s::regnamespace AND typelem = 0
UNION ALL SELECT 'relation', relname::text, relkind::text
    FROM pg_class WHERE relnamespace = %(schema)s::regnamespace
ORDER BY 1, 2, 3
"""


def dump(url: str, schema: str) -> list[tuple[str, str, str]]:
    with psycopg.connect(url) as connection:
        rows = connection.execute(DUMP, {"schema": schema}).fetchall()
    return [(kind, name, text) for kind, name, text in rows if "yoyo" not in f"{name} {text}"]


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with empty_database(postgres_url) as url:
        yield url


@pytest.mark.parametrize("schema", SCHEMAS)
def test_forward_back_and_forward_again_is_forward(url: str, schema: str) -> None:
    folder = migrations_of(schema)
    applied = migrations.migrate(url, schema, folder)
    forward = dump(url, schema)
    assert {kind for kind, _name, _text in forward} >= {"column", "constraint", "index", "relation"}

    assert migrations.roll_back(url, schema, folder) == applied[::-1]
    assert dump(url, schema) == []

    assert migrations.migrate(url, schema, folder) == applied
    assert dump(url, schema) == forward


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_schema_that_is_up_to_date_is_left_alone(url: str, schema: str) -> None:
    migrations.migrate(url, schema, migrations_of(schema))
    assert migrations.migrate(url, schema, migrations_of(schema)) == []


@pytest.mark.parametrize("schema", SCHEMAS)
async def test_of_several_migrators_at_once_one_does_the_work(url: str, schema: str) -> None:
    folder = migrations_of(schema)
    applied = await asyncio.gather(*(asyncio.to_thread(migrations.migrate, url, schema, folder) for _ in range(3)))
    assert sorted(map(len, applied)) == [
        0,
        0,
        len(list(folder.glob("????.*"))) - len(list(folder.glob("*.rollback.*"))),
    ]


def test_schemas_do_not_know_of_each_other(url: str) -> None:
    for schema in SCHEMAS:
        migrations.migrate(url, schema, migrations_of(schema))
    before = {schema: dump(url, schema) for schema in SCHEMAS}
    migrations.roll_back(url, SCHEMAS[0], migrations_of(SCHEMAS[0]))
    assert {schema: dump(url, schema) for schema in SCHEMAS[1:]} == {schema: before[schema] for schema in SCHEMAS[1:]}


def test_a_migration_that_fails_is_undone_and_can_be_repaired(url: str, tmp_path: Path) -> None:
    (tmp_path / "0001.good.sql").write_text("CREATE TABLE trial.a (id int);")
    (tmp_path / "0002.bad.sql").write_text("CREATE TABLE trial.b (id int);\nCREATE TABLE trial.a (id int);")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrations.migrate(url, "trial", tmp_path)
    assert {name for kind, name, _text in dump(url, "trial") if kind == "relation"} == {"a"}

    (tmp_path / "0002.bad.sql").write_text("CREATE TABLE trial.b (id int);")
    assert migrations.migrate(url, "trial", tmp_path) == ["0002.bad"]
    assert {name for kind, name, _text in dump(url, "trial") if kind == "relation"} == {"a", "b"}


# --- roles


@pytest.fixture
def role_urls(url: str) -> dict[str, str]:
    for schema in SCHEMAS:
        migrations.migrate(url, schema, migrations_of(schema))
    return {schema: migrations.create_role(url, schema) for schema in SCHEMAS}


def tables(url: str, schema: str) -> list[sql.Identifier]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)).fetchall()
    assert rows
    return [sql.Identifier(schema, name) for (name,) in rows]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_reads_and_writes_its_own_schema(url: str, role_urls: dict[str, str], schema: str) -> None:
    with psycopg.connect(role_urls[schema]) as connection:
        for table in tables(url, schema):
            connection.execute(sql.SQL("SELECT * FROM {}").format(table))
            connection.execute(sql.SQL("DELETE FROM {}").format(table))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_reaches_no_other_schema(url: str, role_urls: dict[str, str], schema: str) -> None:
    with psycopg.connect(role_urls[schema], autocommit=True) as connection:
        for other in SCHEMAS:
            if other != schema:
                for table in tables(url, other):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(sql.SQL("SELECT * FROM {}").format(table))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_changes_no_schema_not_even_its_own(url: str, role_urls: dict[str, str], schema: str) -> None:
    table = tables(url, schema)[0]
    with psycopg.connect(role_urls[schema], autocommit=True) as connection:
        for statement in (
            sql.SQL("CREATE TABLE {} (id int)").format(sql.Identifier(schema, "mine")),
            sql.SQL("CREATE TABLE public.mine (id int)"),
            sql.SQL("CREATE SCHEMA mine"),
            sql.SQL("DROP TABLE {}").format(table),
            sql.SQL("TRUNCATE {}").format(table),
            sql.SQL("ALTER TABLE {} ADD COLUMN mine int").format(table),
            sql.SQL("CREATE ROLE mine"),
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_has_its_sessions_settings_also_where_a_pooler_drops_what_connections_ask_for(
    role_urls: dict[str, str], schema: str
) -> None:
    with psycopg.connect(role_urls[schema]) as connection:
        for name, value in session_settings(schema, PoolSettings()).items():
            row = connection.execute("SELECT setting FROM pg_settings WHERE lower(name) = %s", (name,)).fetchone()
            assert row == (value,), name


def test_a_role_is_made_once(url: str, role_urls: dict[str, str]) -> None:
    assert {schema: migrations.create_role(url, schema) for schema in SCHEMAS} == role_urls


@pytest.fixture
def reader_urls(url: str) -> dict[str, str]:
    for schema in SCHEMAS:
        migrations.migrate(url, schema, migrations_of(schema))
    return {schema: migrations.create_reader(url, schema) for schema in SCHEMAS}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_reader_reads_its_schema_and_no_other_and_changes_nothing(
    url: str, reader_urls: dict[str, str], schema: str
) -> None:
    assert {schema: migrations.create_reader(url, schema) for schema in SCHEMAS} == reader_urls
    with psycopg.connect(reader_urls[schema], autocommit=True) as connection:
        assert connection.info.user == f"ridehail_{schema}_reader"
        for table in tables(url, schema):
            connection.execute(sql.SQL("SELECT * FROM {}").format(table))
            for statement in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES", "TRUNCATE {}", "DROP TABLE {}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(sql.SQL(statement).format(table))
        for other in SCHEMAS:
            if other != schema:
                for table in tables(url, other):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        connection.execute(sql.SQL("SELECT * FROM {}").format(table))


def test_roles_reach_what_a_later_migration_adds(url: str, tmp_path: Path) -> None:
    (tmp_path / "0001.first.sql").write_text("CREATE TABLE trial.first (id int);")
    migrations.migrate(url, "trial", tmp_path)
    service, reader = migrations.create_role(url, "trial"), migrations.create_reader(url, "trial")
    (tmp_path / "0002.second.sql").write_text("CREATE TABLE trial.second (id bigserial, name text);")
    migrations.migrate(url, "trial", tmp_path)
    with psycopg.connect(service, autocommit=True) as writing, psycopg.connect(reader, autocommit=True) as reading:
        writing.execute("INSERT INTO trial.second (name) VALUES ('a')")
        assert reading.execute("SELECT * FROM trial.second").fetchall() == [(1, "a")]
        for statement in ("INSERT INTO trial.second VALUES (2, 'b')", "UPDATE trial.second SET name = 'b'"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reading.execute(statement)


def test_migrate_with_roles_prints_them_and_may_be_repeated(url: str) -> None:
    for done in ("0001", "up to date"):
        ran = cli("migrate", "family", "--database-url", url, "--with-roles")
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith(f"family: {done}")
        assert ran.stdout.endswith("; roles ridehail_family, ridehail_family_reader\n")


def short_urls(parameters: dict[str, str], folder: Path) -> list[tuple[str, dict[str, str]]]:
    """Returns ways to name one database that leave something to libpq, each with the environment it needs."""
    host, port, user, name = (parameters[key] for key in ("host", "port", "user", "dbname"))
    service = folder / "pg_service.conf"
    service.write_text(f"[ours]\nhost={host}\nport={port}\nuser={user}\ndbname={name}\n")
    quoted = quote(host, safe="")
    by_service = {"PGSERVICEFILE": str(service)}
    return [
        (f"postgresql:///{name}?host={quoted}&port={port}", {"PGUSER": user}),
        (f"postgresql:///?host={quoted}&port={port}", {"PGUSER": user, "PGDATABASE": name}),
        ("postgresql://", {"PGUSER": user, "PGDATABASE": name, "PGHOST": host, "PGPORT": port}),
        (f"postgresql://{user}@/{name}", {"PGHOST": host, "PGPORT": port}),
        (f"postgresql://{user}@{quoted}:{port}/{name}?application_name=a%20b%26c", {}),
        (f"dbname={name} host='{host}'", {"PGUSER": user, "PGPORT": port}),
        ("service=ours", by_service),
        ("postgresql:///?service=ours", by_service),
    ]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        *(("xridehail", number) for number in range(8)),
        # In the last three forms a name like these would have to be quoted by the caller.
        *((name, number) for name in ("my rides", "it's") for number in range(5)),
    ],
)
def test_a_url_that_leaves_something_to_libpq_means_one_database_to_every_step(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, number: int
) -> None:
    with empty_database(postgres_url) as url, psycopg.connect(postgres_url, autocommit=True) as admin:
        old = sql.Identifier(str(psycopg.conninfo.conninfo_to_dict(url)["dbname"]))
        mine = f"{name} {uuid4().hex}" if " " in name else f"{name}{uuid4().hex}"
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(old, sql.Identifier(mine)))
        try:
            parameters = {"port": "5432", **psycopg.conninfo.conninfo_to_dict(url), "dbname": mine}
            short, environment = short_urls({key: str(value) for key, value in parameters.items()}, tmp_path)[number]
            short = short.replace(mine, quote(mine, safe="")) if short.startswith("postgresql:") else short
            for key, value in environment.items():
                monkeypatch.setenv(key, value)
            assert migrations.migrate(short, "family", migrations_of("family"))
            migrations.create_role(short, "family")
            monkeypatch.undo()
            long = psycopg.conninfo.make_conninfo(url, dbname=mine)
            assert dump(long, "family")
            assert migrations.migrate(long, "family", migrations_of("family")) == []
        finally:
            admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(mine), old))
