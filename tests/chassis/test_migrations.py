"""Migrations: forward, back, by two at once; and the roles that reach one schema only."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from ridehail_servers.chassis import migrations
from ridehail_servers.chassis.database import session_settings
from ridehail_servers.chassis.settings import PoolSettings
from ridehail_servers.cli import app as command_line
from tests.support.databases import SCHEMAS, cloned_database, empty_database, migrations_of
from tests.support.shared_postgres import TEMPLATE

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


Dump = list[tuple[str, str, str]]


def dumped(connection: psycopg.Connection, schema: str) -> Dump:
    rows = connection.execute(DUMP, {"schema": schema}).fetchall()
    return [(kind, name, text) for kind, name, text in rows if "yoyo" not in f"{name} {text}"]


def dump(url: str, schema: str) -> Dump:
    with psycopg.connect(url) as connection:
        return dumped(connection, schema)


@pytest.fixture
def url(postgres_url: str) -> Iterator[str]:
    with empty_database(postgres_url) as url:
        yield url


def dumps(url: str) -> dict[str, Dump]:
    with psycopg.connect(url) as connection:
        return {schema: dumped(connection, schema) for schema in SCHEMAS}


@pytest.fixture(scope="module")
def forward(module_database_url: str) -> dict[str, Dump]:
    """All schemas, as their migrations make them."""
    return dumps(module_database_url)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_forward_back_and_forward_again_is_forward_and_no_other_schema_notices(
    module_database_url: str, forward: dict[str, Dump], schema: str
) -> None:
    url, folder = module_database_url, migrations_of(schema)
    assert {kind for kind, _name, _text in forward[schema]} >= {"column", "constraint", "index", "relation"}
    assert migrations.migrate(url, schema, folder) == []  # it is up to date

    rolled_back = migrations.roll_back(url, schema, folder)
    assert len(rolled_back) == number_of_migrations(folder)
    assert dumps(url) == {**forward, schema: []}

    assert migrations.migrate(url, schema, folder) == rolled_back[::-1]
    assert dump(url, schema) == forward[schema]


def number_of_migrations(folder: Path) -> int:
    return len(list(folder.glob("????.*"))) - len(list(folder.glob("*.rollback.*")))


async def test_of_several_migrators_at_once_one_does_the_work(url: str) -> None:
    folder = migrations_of("toll_roads")
    migrating = (asyncio.to_thread(migrations.migrate, url, "toll_roads", folder) for _ in range(3))
    assert sorted(map(len, await asyncio.gather(*migrating))) == [0, 0, number_of_migrations(folder)]


def test_a_migration_that_fails_is_rolled_back_and_can_be_repaired(url: str, tmp_path: Path) -> None:
    (tmp_path / "0001.good.sql").write_text("CREATE TABLE trial.a (id int);")
    (tmp_path / "0002.bad.sql").write_text("CREATE TABLE trial.b (id int);\nCREATE TABLE trial.a (id int);")
    with pytest.raises(psycopg.errors.DuplicateTable):
        migrations.migrate(url, "trial", tmp_path)
    assert {name for kind, name, _text in dump(url, "trial") if kind == "relation"} == {"a"}

    (tmp_path / "0002.bad.sql").write_text("CREATE TABLE trial.b (id int);")
    assert migrations.migrate(url, "trial", tmp_path) == ["0002.bad"]
    assert {name for kind, name, _text in dump(url, "trial") if kind == "relation"} == {"a", "b"}


# --- roles


@pytest.fixture(scope="module")
def with_roles(postgres_url: str) -> Iterator[str]:
    """A database whose schemas have their roles."""
    with cloned_database(postgres_url, TEMPLATE) as url:
        yield url


@pytest.fixture(scope="module")
def role_urls(with_roles: str) -> dict[str, str]:
    return {schema: migrations.create_role(with_roles, schema) for schema in SCHEMAS}


@pytest.fixture(scope="module")
def reader_urls(with_roles: str) -> dict[str, str]:
    return {schema: migrations.create_reader(with_roles, schema) for schema in SCHEMAS}


@pytest.fixture(scope="module")
def tables(with_roles: str) -> dict[str, list[sql.Identifier]]:
    with psycopg.connect(with_roles) as connection:
        rows = connection.execute("SELECT schemaname, tablename FROM pg_tables").fetchall()
    found = {schema: [sql.Identifier(*row) for row in rows if row[0] == schema] for schema in SCHEMAS}
    assert all(found.values())
    return found


def is_refused(connection: psycopg.Connection, statement: sql.Composed | sql.SQL) -> bool:
    try:
        connection.execute(statement)
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def reaches_nothing_else(connection: psycopg.Connection, schema: str, tables: dict[str, list[sql.Identifier]]) -> bool:
    others = [table for other in SCHEMAS if other != schema for table in tables[other]]
    return all(is_refused(connection, sql.SQL("SELECT * FROM {}").format(table)) for table in others)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_reads_and_writes_its_own_schema_and_reaches_no_other(
    role_urls: dict[str, str], tables: dict[str, list[sql.Identifier]], schema: str
) -> None:
    with psycopg.connect(role_urls[schema], autocommit=True) as connection:
        for table in tables[schema]:
            connection.execute(sql.SQL("SELECT * FROM {}").format(table))
            connection.execute(sql.SQL("DELETE FROM {}").format(table))
        assert reaches_nothing_else(connection, schema, tables)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_changes_no_schema_not_even_its_own(
    role_urls: dict[str, str], tables: dict[str, list[sql.Identifier]], schema: str
) -> None:
    table = tables[schema][0]
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
            assert is_refused(connection, statement)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_has_its_sessions_settings_also_where_a_pooler_drops_what_connections_ask_for(
    role_urls: dict[str, str], schema: str
) -> None:
    with psycopg.connect(role_urls[schema]) as connection:
        for name, value in session_settings(schema, PoolSettings()).items():
            row = connection.execute("SELECT setting FROM pg_settings WHERE lower(name) = %s", (name,)).fetchone()
            assert row == (value,), name


def test_roles_are_made_once(with_roles: str, role_urls: dict[str, str], reader_urls: dict[str, str]) -> None:
    assert {schema: migrations.create_role(with_roles, schema) for schema in SCHEMAS} == role_urls
    assert {schema: migrations.create_reader(with_roles, schema) for schema in SCHEMAS} == reader_urls


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_reader_reads_its_schema_and_no_other_and_changes_nothing(
    reader_urls: dict[str, str], tables: dict[str, list[sql.Identifier]], schema: str
) -> None:
    with psycopg.connect(reader_urls[schema], autocommit=True) as connection:
        assert connection.info.user == f"ridehail_{schema}_reader"
        for table in tables[schema]:
            connection.execute(sql.SQL("SELECT * FROM {}").format(table))
            for statement in ("DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES", "TRUNCATE {}", "DROP TABLE {}"):
                assert is_refused(connection, sql.SQL(statement).format(table))
        assert reaches_nothing_else(connection, schema, tables)


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
        ran = CliRunner().invoke(command_line, ["migrate", "family", "--database-url", url, "--with-roles"])
        assert ran.exit_code == 0, ran.output
        assert ran.stdout.startswith(f"family: {done}")
        assert ran.stdout.endswith("; roles ridehail_family, ridehail_family_reader\n")


def test_a_roles_password_is_that_of_its_file_which_stays(url: str, tmp_path: Path) -> None:
    words = ["migrate", "family", "--database-url", url, "--with-roles", "--role-passwords", str(tmp_path)]
    file = tmp_path / "family" / "pgpass"

    def verifier() -> str:
        assert CliRunner().invoke(command_line, words).exit_code == 0
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'ridehail_family'").fetchone()
        return str(row and row[0])

    def derived(verifier: str, password: str) -> bool:
        # RFC 5802, written as SCRAM-SHA-256$<rounds>:<salt>$<stored key>:<server key>.
        _, parameters, keys = verifier.split("$")
        stored, _, _server = keys.partition(":")
        rounds, salt = parameters.split(":")
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        return base64.b64encode(hashlib.sha256(client_key).digest()).decode() == stored

    first = verifier()
    made = file.read_text()
    start, _, password = made.strip().rpartition(":")
    assert (start, file.stat().st_mode & 0o777) == ("*:*:*:ridehail_family", 0o600)
    assert derived(first, password)
    assert derived(verifier(), password)
    assert file.read_text() == made
    # Who wrote it was killed.
    file.write_text("")
    assert derived(verifier(), file.read_text().strip().rpartition(":")[2])
    assert file.read_text() != made

    refused = CliRunner().invoke(command_line, [word for word in words if word != "--with-roles"])
    assert "--role-passwords needs --with-roles" in str(refused.exception)


def short_urls(parameters: dict[str, str], folder: Path) -> list[tuple[str, dict[str, str]]]:
    """Returns ways to name one database that leave something to libpq, each with the environment it needs."""
    host, port, user, name = (parameters[key] for key in ("host", "port", "user", "dbname"))
    service = folder / "pg_service.conf"
    service.write_text(f"[ours]\nhost={host}\nport={port}\nuser={user}\ndbname={name}\n")
    quoted, in_a_url = quote(host, safe=""), quote(name, safe="")
    by_service = {"PGSERVICEFILE": str(service)}
    forms = [
        (f"postgresql:///{in_a_url}?host={quoted}&port={port}", {"PGUSER": user}),
        (f"postgresql:///?host={quoted}&port={port}", {"PGUSER": user, "PGDATABASE": name}),
        ("postgresql://", {"PGUSER": user, "PGDATABASE": name, "PGHOST": host, "PGPORT": port}),
        (f"postgresql://{user}@/{in_a_url}", {"PGHOST": host, "PGPORT": port}),
        (f"postgresql://{user}@{quoted}:{port}/{in_a_url}?application_name=a%20b%26c", {}),
    ]
    if in_a_url != name:
        return forms  # in the others such a name would have to be quoted by the caller
    return [
        *forms,
        (f"dbname={name} host='{host}'", {"PGUSER": user, "PGPORT": port}),
        ("service=ours", by_service),
        ("postgresql:///?service=ours", by_service),
    ]


@pytest.mark.parametrize("name", ["xridehail", "my rides", "it's"])
def test_a_url_that_leaves_something_to_libpq_means_one_database_to_every_step(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    long = psycopg.conninfo.make_conninfo(postgres_url, dbname=f"{name}{uuid4().hex}")
    parameters = {"port": "5432", **{key: str(value) for key, value in conninfo_to_dict(long).items()}}
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        database = sql.Identifier(parameters["dbname"])
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(database))
        try:
            for number, (short, environment) in enumerate(short_urls(parameters, tmp_path)):
                schema, folder = f"trial_{number}", tmp_path / str(number)
                folder.mkdir()
                (folder / "0001.first.sql").write_text(f"CREATE TABLE {schema}.first (id int);")
                with monkeypatch.context() as changed:
                    for key, value in environment.items():
                        changed.setenv(key, value)
                    assert migrations.migrate(short, schema, folder)
                    migrations.create_role(short, schema)
                assert dump(long, schema), short
                assert migrations.migrate(long, schema, folder) == []
        finally:
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(database))
