"""Every table of every service is erased with its user, or named with the reason why it keeps nothing of one."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import psycopg
import pytest

from ridehail_servers import suite
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA
from ridehail_servers.chassis.user_data_store import UserDataStore
from tests.support.databases import cloned_database
from tests.support.shared_postgres import TEMPLATE

JOBS = "user-data"
OF_USERS = {"yandex_uid", "admin_uid", "admin_name", "phone_id", "phone_ids", "document", "details"}
"""Columns that are about a user, whatever else a table has."""

WITH_DATABASE = [it for it in suite.SERVICES.values() if it.schema is not None and it.name != JOBS]
_COLUMNS = """
    SELECT table_name, array_agg(column_name::text) FROM information_schema.columns
    JOIN information_schema.tables USING (table_schema, table_name)
    WHERE table_schema = %s AND table_type = 'BASE TABLE' AND table_name !~ '^(_?yoyo|procrastinate)_'
    GROUP BY table_name
"""


def store_of(definition: ServiceDefinition) -> type[UserDataStore]:
    package = definition.build.__module__.rpartition(".")[0]
    module = importlib.import_module(f"{package}.user_data_store")
    return next(
        it
        for it in vars(module).values()
        if isinstance(it, type) and issubclass(it, UserDataStore) and it is not UserDataStore
    )


@pytest.fixture(scope="module")
def tables(postgres_url: str) -> Mapping[str, Mapping[str, set[str]]]:
    """Schema -> table -> columns, from the migrations."""
    with cloned_database(postgres_url, TEMPLATE) as url, psycopg.connect(url) as connection:
        return {
            it.schema: {table: set(columns) for table, columns in connection.execute(_COLUMNS, (it.schema,)).fetchall()}
            for it in suite.SERVICES.values()
            if it.schema is not None
        }


@pytest.mark.parametrize("definition", WITH_DATABASE, ids=lambda it: it.name)
def test_every_table_is_erased_or_has_its_reason(
    tables: Mapping[str, Mapping[str, set[str]]], definition: ServiceDefinition
) -> None:
    assert definition.schema is not None
    store, found = store_of(definition), tables[definition.schema]
    erased = {rows.table.rpartition(".")[2] for rows in store.rows if rows.is_erased}

    assert found.keys() == erased | store.not_of_users.keys(), "name new tables in the service's user_data_store.py"
    assert not erased & store.not_of_users.keys()
    assert all(store.not_of_users.values())
    assert not {table for table in store.not_of_users if found[table] & OF_USERS}, "such a table is a user's"


def test_the_jobs_forget_their_users(tables: Mapping[str, Mapping[str, set[str]]]) -> None:
    assert {table for table, columns in tables["user_data"].items() if columns & OF_USERS} == {"subjects"}


def test_every_service_with_a_database_serves_the_contract_and_is_called() -> None:
    serving = {it.name for it in suite.SERVICES.values() if USER_DATA in it.contracts}
    assert serving == {it.name for it in WITH_DATABASE} == set(suite.SERVICES[JOBS].dependencies)
