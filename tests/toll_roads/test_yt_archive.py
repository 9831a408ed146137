"""A table of the archive in a YTsaurus cluster: each batch is in it once, whatever fails and however many writers."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from ridehail_servers.toll_roads.retention.archive import ArchiveAhead, ArchiveFailed, in_thread
from ridehail_servers.toll_roads.retention.rows import ArchivedChange, ArchivedOrder, ArchivedTable
from tests.support.log_capture import captured_logs
from tests.support.retention import EDGE_TIMESTAMPS, NOW, ago
from tests.support.waiting import until
from tests.toll_roads.yt_harness import FOLDER, QUICK, YtHarness, changes

IMPATIENT = replace(QUICK, request_s=0.2, table_s=0.2, total_s=0.2)


@pytest.mark.parametrize("created", EDGE_TIMESTAMPS)
def test_a_timestamp_keeps_its_microseconds_and_decides_the_table(yt: YtHarness, created: datetime) -> None:
    yt.table().last_batch()
    yt.table().write(1, changes("order", created=created))
    assert yt.table().rows_of("order") == changes("order", created=created)
    assert list(yt.cluster.tables(f"{FOLDER}/log_has_toll_road")) == [created.date().isoformat()]


@pytest.mark.parametrize("value", ["", "'; DROP TABLE", "Ünïcödé 😀", "a" * 128, "%s {} \\ \" ' / \u2028"])
def test_any_id_is_read_back_unchanged(yt: YtHarness, value: str) -> None:
    table = yt.table(ArchivedTable.ORDERS)
    orders = [
        ArchivedOrder(value, NOW, None, can_switch_road=True),
        ArchivedOrder("b", NOW, value, can_switch_road=False),
    ]
    table.last_batch()
    table.write(1, orders)
    assert table.rows_of(value) == orders[:1]
    assert table.rows_of("b") == orders[1:]
    assert table.rows_of("c") == []


def test_without_an_archive_there_are_no_rows(yt: YtHarness) -> None:
    assert yt.table().rows_of("order") == []


def test_a_batch_is_written_once_however_often_it_is_attempted(yt: YtHarness) -> None:
    assert yt.table().last_batch() == 0
    for _ in range(3):
        yt.table().write(5, changes("order"))
    yt.table().write(6, changes("other"))
    assert yt.table().last_batch() == 6
    assert yt.order_ids() == ["order", "other"]
    assert not yt.transactions


def test_a_batch_that_the_archive_may_have_already_is_not_written(yt: YtHarness) -> None:
    yt.table().last_batch()
    yt.table().write(7, changes("order"))
    with pytest.raises(ArchiveAhead):
        yt.table().write(6, changes("other"))
    assert yt.order_ids() == ["order"]
    assert not yt.transactions


async def test_many_writers_of_one_batch_write_it_once(yt: YtHarness) -> None:
    yt.table().last_batch()
    await asyncio.gather(*(asyncio.to_thread(yt.table().write, 1, changes("a", "b")) for _ in range(4)))
    assert yt.order_ids() == ["a", "b"]


@pytest.mark.parametrize(
    "kind",
    ["lost", *(pytest.param(it, marks=pytest.mark.long) for it in ("unavailable", "failed", "cut", "forgotten"))],
)
def test_a_batch_is_written_once_whichever_request_fails_in_whichever_way(yt: YtHarness, kind: str) -> None:
    """Of each request of a batch for two days, of which every kind of failure is survived without another run."""
    rows = changes("old", created=ago(24)) + changes("young")
    table, requests = yt.table(), 0
    while True:
        yt.reset()
        table.last_batch()
        yt.fault("*", kind, skip=requests)
        table.write(1, rows)
        assert yt.order_ids() == ["old", "young"], f"request {requests} of {yt.cluster.requests}"
        assert yt.last_batch() == 1
        if yt.cluster.faults:
            break  # the batch needs fewer requests
        requests += 1
    assert requests >= 10


@pytest.mark.parametrize("command", ["lock", "write_table", "commit_transaction"])
def test_a_proxy_that_hangs_is_given_up_and_a_later_run_writes_the_batch_once(yt: YtHarness, command: str) -> None:
    yt.table().last_batch()
    yt.fault(command, "hung", times=9)
    began = time.monotonic()
    with pytest.raises(
        ArchiveFailed, match=r"the archive at yt://127.*/home/ridehail/log_has_toll_road failed: .*timed out"
    ):
        yt.table(timeouts=IMPATIENT).write(1, changes("order"))
    assert time.monotonic() - began < 20
    yt.cluster.faults.clear()
    yt.table().write(1, changes("order"))
    assert yt.order_ids() == ["order"]


def test_a_writer_that_lost_its_transaction_begins_another(yt: YtHarness) -> None:
    """As one that was stopped for longer than the transaction lasts: others may have written the batch."""
    yt.table().last_batch()

    def stopped() -> None:
        for one in yt.transactions:
            yt.cluster.tree.abort(one.identity)
        yt.table().write(1, changes("order"))

    yt.fault("set", stopped)
    yt.table().write(1, changes("order"))
    assert yt.order_ids() == ["order"]


def test_the_transaction_of_a_dead_writer_keeps_others_out_until_it_ends(yt: YtHarness) -> None:
    yt.table().last_batch()
    left = yt.cluster.tree.start(None, 3_600_000, {})
    yt.cluster.tree.lock(left, f"{FOLDER}/log_has_toll_road", "shared", ("attribute", "toll_roads_last_batch"))
    with pytest.raises(ArchiveFailed, match="Cannot take shared lock"):
        yt.table(timeouts=replace(IMPATIENT, total_s=0)).write(1, changes("order"))
    dead = yt.cluster.tree.transaction(left)
    dead.pinged_at, dead.timeout_s = time.monotonic(), 0.4
    yt.table().write(1, changes("order"))
    assert yt.order_ids() == ["order"]


def test_a_slow_batch_keeps_its_transaction(yt: YtHarness) -> None:
    table = yt.table(timeouts=replace(QUICK, table_s=20))
    table.last_batch()
    yt.fault("write_table", lambda: time.sleep(1.5 * QUICK.transaction_s))
    table.write(1, changes("order"))
    assert yt.order_ids() == ["order"]
    assert sum(command == "start_transaction" for command, _ in yt.cluster.requests) == 1


@pytest.mark.parametrize("kind", ["unavailable", "cut", "half", "lost"])
def test_a_day_that_could_not_be_read_to_its_end_is_read_again(yt: YtHarness, kind: str) -> None:
    yt.table().last_batch()
    yt.table().write(1, changes("order", "other", created=ago(24)) + changes("order"))
    yt.fault("read_table", kind)
    assert yt.table().rows_of("order") == changes("order", created=ago(24)) + changes("order")


def test_tables_are_written_and_read_by_a_proxy_that_works(yt: YtHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    yt.table().last_batch()
    (heavy,) = yt.cluster.heavy_hosts
    monkeypatch.setattr(yt.cluster, "heavy_hosts", ["127.0.0.1:1", heavy])
    yt.table().write(1, changes("order"))
    assert len(yt.table().rows_of("order")) == 1
    # and where the others cannot be reached, by the proxy itself
    monkeypatch.setattr(yt.cluster, "heavy_hosts", ["127.0.0.1:1"])
    itself = YtHarness(yt.cluster, heavy).table(options="&hosts=off")
    itself.write(2, changes("order"))
    assert len(itself.rows_of("order")) == 2


def crowd(yt: YtHarness, created: datetime, chunks: int) -> str:
    """Writes a batch, and makes more chunks of its day; returns the day's table."""
    path = f"{FOLDER}/log_has_toll_road/{created.date()}"
    yt.table().write(int(created.timestamp()), changes("order-1", created=created))
    for number in range(2, chunks + 1):
        yt.cluster.tree.append(path, [{**yt.cluster.rows(path)[0], "order_id": f"order-{number}"}], None)
    return path


def test_the_chunks_of_a_day_are_merged_beside_readers_and_writers(yt: YtHarness) -> None:
    table = yt.table()
    table.last_batch()
    left, merged = crowd(yt, ago(24), 16), crowd(yt, NOW, 17)
    # A batch that comes meanwhile waits, and is not lost.
    batch = int(NOW.timestamp()) + 1
    writer = threading.Thread(target=yt.table().write, args=(batch, changes("order-18")))
    yt.fault("get_operation", writer.start)
    table.tidy()
    writer.join()
    assert [len(yt.cluster.tree.nodes[path].chunks) for path in (left, merged)] == [16, 2]
    assert sorted(map(str, yt.order_ids())) == sorted(f"order-{number}" for number in [*range(1, 17), *range(1, 19)])
    assert yt.last_batch() == batch
    (spec,) = [given["spec"] for command, given in yt.cluster.requests if command == "start_operation"]
    assert "pool" not in spec


def test_an_operation_that_fails_leaves_all_rows(yt: YtHarness) -> None:
    yt.table().last_batch()
    crowd(yt, NOW, 17)
    with captured_logs() as log:
        for state in ("failed", "running"):
            yt.cluster.tree.operation_state = state
            yt.table(timeouts=replace(QUICK, merge_s=0.05), options="&pool=ridehail").tidy()
    assert [line["reason"].rpartition(" is ")[2][-14:] for line in log.events("chunks were not merged")] == [
        "failed",
        "takes too long",
    ]
    assert len(yt.order_ids()) == 17
    assert not yt.transactions
    assert {str(given["spec"]["pool"]) for command, given in yt.cluster.requests if command == "start_operation"} == {
        "ridehail"
    }


async def test_a_cluster_that_hangs_holds_up_neither_the_event_loop_nor_a_cancelled_job(yt: YtHarness) -> None:
    """The thread ends soon after: it repeats nothing, and waits not even for the end of its transaction."""
    table, ended = yt.table(timeouts=replace(QUICK, request_s=1, table_s=1, total_s=60)), threading.Event()
    await in_thread(table, table.last_batch)
    yt.fault("*", "hung", times=99, skip=8)

    def write() -> None:
        try:
            table.write(1, changes("order"))
        finally:
            ended.set()

    job = asyncio.create_task(in_thread(table, write))
    await until(lambda: yt.cluster.faults[0].times < 99)
    began = time.monotonic()
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert not ended.is_set()
    await until(ended.is_set)
    assert time.monotonic() - began < 20
    with pytest.raises(ArchiveFailed, match="was interrupted"):
        await in_thread(table, table.last_batch)


@pytest.mark.parametrize(
    ("break_table", "complaint"),
    [
        (lambda yt: yt.cluster.tree.nodes.pop(f"{FOLDER}/log_has_toll_road"), "Error resolving path"),
        (lambda yt: yt.cluster.tree.create(f"{FOLDER}/log_has_toll_road/{NOW.date()}", "table", {"schema": []}, None),
         "Schema violation"),
    ],
)  # fmt: skip
def test_what_no_repeat_can_cure_fails_at_once(
    yt: YtHarness, break_table: Callable[[YtHarness], object], complaint: str
) -> None:
    yt.table().last_batch()
    break_table(yt)
    requests = len(yt.cluster.requests)
    with pytest.raises(ArchiveFailed, match=complaint):
        yt.table().write(1, changes("order"))
    assert sum(command == "start_transaction" for command, _ in yt.cluster.requests[requests:]) == 1


def test_rows_of_an_order_are_in_their_order_whatever_the_day(yt: YtHarness) -> None:
    table, ages = yt.table(), (1, 70, 30, 0.5)
    table.last_batch()
    for batch, hours in enumerate(ages, 1):
        table.write(batch, [ArchivedChange("order", NOW - timedelta(hours=hours), has_toll_road=bool(batch % 2))])
    assert [row.created_at for row in table.rows_of("order")] == sorted(ago(hours) for hours in ages)


def test_reading_is_possible_while_a_batch_is_written(yt: YtHarness) -> None:
    yt.table().last_batch()
    yt.table().write(1, changes("first"))
    found: list[int] = []
    yt.fault("commit_transaction", lambda: found.append(len(yt.table().rows_of("second"))))
    yt.table().write(2, changes("second"))
    assert found == [0]
    assert len(yt.table().rows_of("second")) == 1


@pytest.mark.parametrize("kind", ["unavailable", "lost"])
def test_orders_are_erased_once_and_others_stay_whatever_request_fails(yt: YtHarness, kind: str) -> None:
    table, requests = yt.table(), 0
    while True:
        yt.reset()
        table.last_batch()
        table.write(1, [*changes("erased-1", "kept-1"), *changes("kept-2", created=ago(24))])
        table.write(2, changes("erased-1", "erased-2", created=ago(48)))
        yt.cluster.requests.clear()
        yt.fault("*", kind, skip=requests)
        table.erase({"erased-1", "erased-2", "never-archived"})
        assert yt.order_ids() == ["kept-1", "kept-2"], f"request {requests} of {yt.cluster.requests}"
        assert yt.last_batch() == 2
        if yt.cluster.faults:
            break  # the erasure needs fewer requests
        requests += 1
    assert requests >= 10
    # The day of others was read, and not written.
    written = [str(given["path"]) for command, given in yt.cluster.requests if command == "write_table"]
    assert not any(ago(24).date().isoformat() in path for path in written)
    table.write(3, changes("kept-3"))
    assert yt.order_ids() == ["kept-1", "kept-2", "kept-3"]
