"""Schemas of the services: plain SQL files, forward and back, applied by yoyo.

Each service has a schema, a folder of migrations, which several services may share, its own record of what was applied,
and, where roles can be made, a role that reaches nothing else and one that only reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
import yoyo
from psycopg import conninfo, sql

from .database import session_settings
from .settings import PoolSettings

# Held while a database is migrated, so that two migrators take turns. The number only has to be ours.
_ADVISORY_LOCK = 7_233_900_401
# Kind of object -> rights to it.
_SERVICE_RIGHTS: Final = {
    "TABLES": "SELECT, INSERT, UPDATE, DELETE",
    "SEQUENCES": "USAGE, SELECT",
    "FUNCTIONS": "EXECUTE",
}
_READER_RIGHTS: Final = {"TABLES": "SELECT"}


def migrate(url: str, schema: str, folder: Path) -> list[str]:
    """Brings a schema up to date, after creating it where it does not exist; returns the names of applied migrations.

    The user of the URL has to be allowed to create the schema. When Postgres refuses one (`psycopg.Error`), what was
    applied before stays applied.
    """
    with _locked(url) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(schema)))
        with _backend(url, schema) as backend:
            pending = backend.to_apply(yoyo.read_migrations(str(folder)))
            for migration in pending:
                # yoyo records a migration in a transaction of its own: killed in between, it would be applied twice.
                with backend.transaction():
                    migration.process_steps(backend, "apply")
                    backend.mark_one(migration)
            return [migration.id for migration in pending]


def roll_back(url: str, schema: str, folder: Path) -> list[str]:
    """Rolls back all migrations of a schema, the latest first; returns their names."""
    with _locked(url), _backend(url, schema) as backend:
        applied = backend.to_rollback(yoyo.read_migrations(str(folder)))
        for migration in applied:
            with backend.transaction():
                migration.process_steps(backend, "rollback")
                backend.unmark_one(migration)
        return [migration.id for migration in applied]


def role_of(schema: str) -> str:
    """Returns the role that the service of a schema connects as."""
    return f"ridehail_{schema}"


def create_role(url: str, schema: str, password: str | None = None) -> str:
    """Creates the role that a service connects as, with rights to its own schema's rows and to nothing else.

    In this database its sessions have the settings that services ask for, with the defaults of `PoolSettings`. Returns
    the URL for the role; the user of the given one has to be allowed to create roles. Without a password the role's own
    is left as it is.
    """
    role = role_of(schema)
    with _locked(url) as connection:
        _grant(connection, role, schema, _SERVICE_RIGHTS)
        if password is not None:
            # Encrypted here, so that no log of statements has it.
            encrypted = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256").decode()
            connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(encrypted))
            )
        # Connections state these themselves, but a pooler between may not pass them on.
        for name, value in session_settings(schema, PoolSettings()).items():
            connection.execute(
                sql.SQL("ALTER ROLE {role} IN DATABASE {database} SET {name} = {value}").format(
                    role=sql.Identifier(role),
                    database=sql.Identifier(connection.info.dbname),
                    name=sql.Identifier(name),
                    value=sql.Literal(value),
                )
            )
    return conninfo.make_conninfo(url, user=role)


def create_reader(url: str, schema: str) -> str:
    """Creates the role `ridehail_<schema>_reader`, which only reads the rows of the schema; returns the URL for it."""
    role = f"ridehail_{schema}_reader"
    with _locked(url) as connection:
        _grant(connection, role, schema, _READER_RIGHTS)
    return conninfo.make_conninfo(url, user=role)


def _grant(connection: psycopg.Connection, role: str, schema: str, rights: Mapping[str, str]) -> None:
    """Creates a role where there is none; gives it rights to all that is or will be in a schema."""
    names = {"role": sql.Identifier(role), "schema": sql.Identifier(schema)}
    if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
        connection.execute(sql.SQL("CREATE ROLE {role} LOGIN").format(**names))
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {schema} TO {role}").format(**names))
    for kind, granted in rights.items():
        for statement in (
            f"GRANT {granted} ON ALL {kind} IN SCHEMA {{schema}} TO {{role}}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA {{schema}} GRANT {granted} ON {kind} TO {{role}}",
        ):
            connection.execute(sql.SQL(statement).format(**names))


@contextmanager
def _locked(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
        yield connection


@contextmanager
def _backend(url: str, schema: str) -> Iterator[yoyo.backends.base.DatabaseBackend]:
    # Not by yoyo's own URLs: they lose what libpq finds out by itself, such as the database by PGDATABASE or `service`.
    parameters = {**conninfo.conninfo_to_dict(url), "schema": schema}
    uri = yoyo.connections.DatabaseURI("postgresql+psycopg", None, None, None, None, None, parameters)
    backend = yoyo.backends.get_backend_class(uri.scheme)(uri, yoyo.migrations.default_migration_table)
    backend.init_database()
    try:
        # yoyo's own lock is a row that outlives a killed migrator; ours ends with its connection, and we hold it.
        backend.break_lock()
        yield backend
    finally:
        backend.connection.close()
