"""Kill -9 of everything, in the middle of everything: what was acknowledged is there, and nothing is there twice.

`RIDEHAIL_TEST_KILLS` sets how often something is killed; by default few enough for every run of the tests.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import psycopg
import pytest
from deltalake import DeltaTable

from ridehail_clients import AsyncOrderCoreClient, JsonObject
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.running_postgres import running_database_url
from tests.crash.journal import Journal, OrderJournal
from tests.crash.killer import Killer
from tests.crash.traffic import Traffic
from tests.support.folders import shared_folder
from tests.support.up import RunningCommand, cli, processes_of, up
from tests.support.waiting import eventually, until

KILLS = int(os.environ.get("RIDEHAIL_TEST_KILLS", "5"))
Changes = dict[str, dict[datetime, bool]]


@pytest.fixture
def suite() -> Iterator[RunningCommand]:
    with shared_folder() as folder:
        running = up(folder / "data")
        try:
            yield running
            assert running.stop() == 0
        finally:
            for process in processes_of(folder):
                process.kill()


@pytest.mark.timeout(600 + 30 * KILLS)
async def test_nothing_acknowledged_is_lost_or_duplicated(suite: RunningCommand) -> None:
    seed = random.randrange(2**32)
    sys.stderr.write(f"seed {seed}\n")
    random_numbers, journal = random.Random(seed), Journal()
    keys = KeyRing(suite.data_dir / "keys" / "tickets")
    traffic = Traffic(suite.ready["grpc"], keys, journal, random_numbers)
    killer, stop, jobs_stop = Killer(suite, journal, random_numbers), asyncio.Event(), asyncio.Event()

    async with asyncio.TaskGroup() as group:
        group.create_task(traffic.run(stop))
        jobs = group.create_task(killer.keep_jobs_running(jobs_stop))
        await killer.kill(KILLS)
        await until(lambda: len(journal.orders) > KILLS)
        stop.set()
        jobs_stop.set()
        await jobs
    await asyncio.to_thread(_settle, suite)

    sys.stderr.write(f"{len(journal.orders)} orders, {journal.kills} killed, {journal.failures_seen} failed calls\n")
    database, archive = _in_database(suite), _in_archive(suite)
    _nothing_is_lost_or_made_up(journal, database, archive)
    _what_is_old_is_archived(journal, archive)
    _offers_are_kept(journal, suite)
    await _prices_are_reset_once(journal, suite, keys)


def _settle(suite: RunningCommand) -> None:
    """Lets the tasks end and the retention jobs run once more, without kills."""

    def no_task_is_left() -> bool:
        rows = _rows(suite, "SELECT 1 FROM toll_roads.procrastinate_jobs WHERE status IN ('todo', 'doing')")
        return not [*rows, *_rows(suite, "SELECT 1 FROM toll_roads.order_save_requests")]

    eventually(no_task_is_left, unless=psycopg.OperationalError)
    for job in ("archive", "purge-orders"):
        result = cli("toll-roads", job, "--data-dir", str(suite.data_dir))
        assert result.returncode == 0, result.stderr


def _nothing_is_lost_or_made_up(journal: Journal, database: Changes, archive: Changes) -> None:
    for order_id, order in journal.orders.items():
        found = archive.get(order_id, {}) | database.get(order_id, {})
        assert found.items() >= order.promised.items(), order_id
        assert found.items() <= order.possible.items(), order_id
    assert (database.keys() | archive.keys()) <= journal.orders.keys()


def _what_is_old_is_archived(journal: Journal, archive: Changes) -> None:
    day_ago = datetime.now(UTC) - timedelta(hours=24)
    for order_id, order in journal.orders.items():
        old = {timestamp for timestamp in order.promised if timestamp < day_ago}
        assert archive.get(order_id, {}).keys() >= old, order_id


def _offers_are_kept(journal: Journal, suite: RunningCommand) -> None:
    found = {offer_id for (offer_id,) in _rows(suite, "SELECT offer_id FROM toll_roads.offers")}
    assert found >= journal.offers


async def _prices_are_reset_once(journal: Journal, suite: RunningCommand, keys: KeyRing) -> None:
    events = Counter(order_id for (order_id,) in _rows(suite, "SELECT order_id FROM order_core.processing_events"))
    async with AsyncOrderCoreClient(suite.ready["grpc"], ticket=TicketIssuer(keys, "admin")) as order_core:
        for order_id, order in journal.orders.items():
            fields = ["order.fixed_price", "changes.objects"]
            document = (await order_core.get_order_fields(order_id=order_id, fields=fields)).fields
            resets = 1 if _gave_its_price_up(order) else 0
            assert _recorded_price_changes(document) == ([False, True] if resets else []), order_id
            assert events[order_id] == resets, order_id
            assert document.get("order") == {"fixed_price": {} if resets else {"price": 1290.0}}, order_id


def _gave_its_price_up(order: OrderJournal) -> bool:
    """An order's switches are made one after the other, so the acknowledged ones determine the state."""
    assert order.asked == order.acknowledged
    latest = order.created
    for timestamp, to_toll in order.acknowledged.items():
        if order.chose_toll_road and not to_toll and timestamp >= latest:
            return True
        latest = max(latest, timestamp)
    return False


def _recorded_price_changes(document: JsonObject) -> list[object]:
    changes = document.get("changes")
    objects = changes.get("objects") if isinstance(changes, dict) else None
    return [one["value"] for one in objects if isinstance(one, dict)] if isinstance(objects, list) else []


def _in_database(suite: RunningCommand) -> Changes:
    changes: Changes = {}
    for order_id, timestamp, road in _rows(
        suite, "SELECT order_id, created_at, has_toll_road FROM toll_roads.log_has_toll_road"
    ):
        changes.setdefault(order_id, {})[timestamp] = road
    return changes


def _in_archive(suite: RunningCommand) -> Changes:
    """Returns the archived changes, after a check that none is in the archive twice."""
    changes: Changes = {}
    for order_id, microseconds, road in _archived(suite, "log_has_toll_road", "epoch_us(created_at), has_toll_road"):
        timestamp = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=microseconds)
        assert timestamp not in changes.setdefault(order_id, {}), (order_id, timestamp)
        changes[order_id][timestamp] = road
    orders = [order_id for (order_id,) in _archived(suite, "orders")]
    assert len(set(orders)) == len(orders)
    return changes


def _archived(suite: RunningCommand, table: str, columns: str = "") -> list[tuple[Any, ...]]:
    folder = suite.data_dir / "archive" / table
    if not folder.exists():
        return []
    files = DeltaTable(str(folder)).file_uris()
    names = f"order_id, {columns}" if columns else "order_id"
    return duckdb.execute(f"SELECT {names} FROM read_parquet(?)", [files]).fetchall() if files else []


def _rows(suite: RunningCommand, query: str) -> list[tuple[Any, ...]]:
    url = running_database_url(suite.data_dir / "postgres")
    if url is None:
        raise psycopg.OperationalError("Postgres does not run")
    with psycopg.connect(url) as connection:
        return connection.execute(query.encode()).fetchall()
