"""The statements, against a real Postgres."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings

from ridehail_kernel.json_values import JsonObject, JsonValue
from ridehail_servers import resources
from ridehail_servers.chassis import migrations
from ridehail_servers.reference.order_core.document import FINAL_STATUSES, new_document
from ridehail_servers.reference.order_core.store import OrderDocument, OrderDocumentStore
from tests.order_core.test_document import documents
from tests.support.read_counters import counted
from tests.support.suite_in_process import SuiteInProcess

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STORE = OrderDocumentStore()


def an_order(order_id: str = "order", *, status: str | None = "driving") -> OrderDocument:
    order: JsonObject = {} if status is None else {"status": status}
    return OrderDocument(order_id, "uid", new_document({"order": order}))


@given(document=documents)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_a_document_is_read_as_it_was_stored(running: SuiteInProcess, document: JsonObject) -> None:
    order = OrderDocument("order", "uid", document)
    async with running.database("order-core").connection() as connection:
        await STORE.put_order(connection, order, NOW)
        found = await STORE.find_order(connection, "order")

    assert found == order


@pytest.mark.parametrize("number", [1e300, -1e22, 5e-324, 1.7976931348623157e308, 0.1, 2**53 - 1, 1 - 2**53, 2.0**54])
async def test_a_number_keeps_its_value_and_its_kind(running: SuiteInProcess, number: float) -> None:
    order = OrderDocument("order", "uid", new_document({"number": number}))
    async with running.database("order-core").connection() as connection:
        await STORE.put_order(connection, order, NOW)
        found = await STORE.find_order(connection, "order")

    assert found is not None
    assert repr(found.document["number"]) == repr(number)


async def test_an_order_that_is_not_there_is_not_found(running: SuiteInProcess) -> None:
    async with running.database("order-core").transaction() as connection:
        assert await STORE.find_order(connection, "order") is None
        assert await STORE.lock_document(connection, "order") is None


async def test_an_order_put_again_keeps_its_time_of_creation(running: SuiteInProcess) -> None:
    async with running.database("order-core").connection() as connection:
        await STORE.put_order(connection, an_order(), NOW)
        await STORE.put_order(
            connection, OrderDocument("order", "other-uid", an_order().document), NOW + timedelta(hours=1)
        )

    rows = await running.rows("SELECT yandex_uid, created_at, updated_at FROM order_core.orders")
    assert rows == [("other-uid", NOW, NOW + timedelta(hours=1))]


async def test_an_update_changes_document_and_time_only(running: SuiteInProcess) -> None:
    async with running.database("order-core").connection() as connection:
        await STORE.put_order(connection, an_order(), NOW)
        await STORE.put_order(connection, an_order("other"), NOW)
        await STORE.update_document(connection, "order", new_document({"a": 1}), NOW + timedelta(hours=1))

    rows = await running.rows(
        "SELECT order_id, yandex_uid, document, created_at, updated_at FROM order_core.orders ORDER BY order_id"
    )
    assert rows == [
        ("order", "uid", {"a": 1, "order": {"version": 1}}, NOW, NOW + timedelta(hours=1)),
        ("other", "uid", an_order().document, NOW, NOW),
    ]


async def test_a_locked_document_cannot_be_locked_by_another(running: SuiteInProcess) -> None:
    database = running.database("order-core")
    async with database.connection() as connection:
        await STORE.put_order(connection, an_order(), NOW)

    async with database.transaction() as first:
        await STORE.lock_document(first, "order")
        async with await psycopg.AsyncConnection.connect(database.conninfo) as second:
            await second.execute("SET LOCAL lock_timeout = '50ms'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                await STORE.lock_document(second, "order")


async def test_active_orders_are_listed_oldest_first(running: SuiteInProcess) -> None:
    statuses = ["driving", None, "", *FINAL_STATUSES, "waiting"]
    async with running.database("order-core").connection() as connection:
        for age, status in enumerate(statuses):
            await STORE.put_order(connection, an_order(f"order-{age}", status=status), NOW - timedelta(minutes=age))
        await STORE.put_order(connection, OrderDocument("another's", "other-uid", an_order().document), NOW)
        listed = await STORE.list_active(connection, "uid", limit=100)
        listed_two = await STORE.list_active(connection, "uid", limit=2)

    assert [row.order_id for row in listed] == [f"order-{len(statuses) - 1}", "order-2", "order-1", "order-0"]
    assert listed_two == listed[:2]


async def test_the_list_reads_only_active_orders(running: SuiteInProcess) -> None:
    await running.execute(
        """
        INSERT INTO order_core.orders
        SELECT 'done-' || n, 'uid', '{"order": {"version": 1, "status": "finished"}}', now(), now()
        FROM generate_series(1, 2000) AS n
        """
    )
    await running.execute("ANALYZE order_core.orders")
    scans_before = await scans_of_the_index(running)
    async with running.database("order-core").connection() as connection:
        await STORE.put_order(connection, an_order(), NOW)
        # As after the first five calls, when the server may plan without looking at the parameters.
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        await connection.execute("SET enable_seqscan = off")
        listed = await STORE.list_active(connection, "uid", limit=100)

    assert [row.order_id for row in listed] == ["order"]
    assert await scans_of_the_index(running) == scans_before + 1


async def scans_of_the_index(running: SuiteInProcess) -> int:
    """Returns the number of scans of the index so far; the tests of a module share the database."""
    query = (
        "SELECT idx_scan::int FROM pg_stat_user_indexes"
        " WHERE schemaname = 'order_core' AND indexrelname = 'orders_active_idx'"
    )
    (number,) = await counted(running.database_url, query)
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize("order", [{}, {"version": None}, {"version": "1"}, [], None])
async def test_a_document_without_a_version_cannot_be_stored(running: SuiteInProcess, order: JsonValue) -> None:
    async with running.database("order-core").connection() as connection:
        with pytest.raises(psycopg.errors.CheckViolation) as caught:
            await STORE.put_order(connection, OrderDocument("order", "uid", {"order": order}), NOW)

    assert caught.value.diag.constraint_name == "orders_document_version_check"


def test_the_migrations_can_be_rolled_back_and_repeated(database_url: str) -> None:
    folder = resources.folder("migrations") / "order_core"

    undone = migrations.roll_back(database_url, "order_core", folder)
    done = migrations.migrate(database_url, "order_core", folder)

    assert undone == done[::-1]
    assert "0001.tables" in done
