"""The scheduled jobs: what runs when, and the metrics."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import croniter
import pytest
from prometheus_client import REGISTRY, CollectorRegistry, generate_latest, multiprocess

from ridehail_servers import suite
from ridehail_servers.chassis import app
from ridehail_servers.chassis.extras import ExtraMissing
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tasks import Task, TaskQueue
from ridehail_servers.toll_roads.config import RetentionConfig
from ridehail_servers.toll_roads.retention.archive import ArchiveFailed
from ridehail_servers.toll_roads.retention.tasks import retention_tasks
from tests.support.log_capture import LogCapture
from tests.support.retention import NOW, Retention, ago
from tests.support.waiting import until


def jobs_of(retention: Retention, *, archive_url: str | None) -> dict[str, Task]:
    config = RetentionConfig(batch_size=3, rest_factor=0)
    jobs = retention_tasks(retention.database, lambda: config, lambda: retention.now, archive_url)
    return {task.name: task for task in jobs}


def rows(step: str, outcome: str) -> float:
    labels = {"step": step, "outcome": outcome}
    return REGISTRY.get_sample_value("ridehail_toll_roads_retention_rows_total", labels) or 0


def last_success(job: str) -> float | None:
    name = "ridehail_toll_roads_retention_last_success_timestamp_seconds"
    return REGISTRY.get_sample_value(name, {"job": job})


@pytest.fixture
async def old_rows(retention: Retention) -> Retention:
    await retention.put_order("ancient", ago(50), ago(50), ago(49))
    await retention.put_order("old", ago(30), ago(30))
    await retention.put_order("switched", ago(50), ago(50), ago(2))
    await retention.put_offers(old=30, young=2)
    await retention.execute(
        "INSERT INTO toll_roads.order_save_requests"
        " (order_id, created_at, can_switch_road, user_chose_toll_road, requested_at, refused_because)"
        " VALUES ('refused', now(), true, true, %s, 'OTHER_DATA')",
        ago(50),
    )
    return retention


def test_each_job_is_due_once_an_hour_and_erasures_every_five_minutes() -> None:
    retention = Retention(None, "", "")  # type: ignore[arg-type]  # nothing is run
    jobs = jobs_of(retention, archive_url="file:///archive")
    pauses = {}
    for job in jobs.values():
        assert job.schedule is not None
        due = croniter.croniter(job.schedule, NOW.timestamp())
        first, second = due.get_next(float), due.get_next(float)
        pauses[job.name] = second - first
    assert pauses == {
        "toll_roads_purge_offers": 3600,
        "toll_roads_archive": 3600,
        "toll_roads_purge_orders": 3600,
        "toll_roads_erase_archived": 300,
    }


async def test_the_jobs_export_what_they_did(old_rows: Retention) -> None:
    steps = (
        ("purge_offers", "deleted"),
        ("archive_orders", "archived"),
        ("archive_log", "archived"),
        ("purge_log", "deleted"),
        ("purge_log", "kept"),
        ("purge_orders", "deleted"),
        ("purge_orders", "kept"),
        ("purge_save_requests", "deleted"),
    )
    before = [rows(*step) for step in steps]
    for task in jobs_of(old_rows, archive_url=old_rows.archive_url).values():
        await task.run(0)
    assert [rows(*step) - was for step, was in zip(steps, before, strict=True)] == [1, 3, 4, 3, 0, 1, 1, 1]
    for job in ("purge_offers", "archive", "purge_orders"):
        assert last_success(job) == NOW.timestamp()


async def test_an_archive_that_cannot_be_written_fails_no_other_job(old_rows: Retention, tmp_path: Path) -> None:
    for job in ("purge_offers", "archive", "purge_orders"):
        before = last_success(job)
    (tmp_path / "file").touch()
    jobs = jobs_of(old_rows, archive_url=f"{(tmp_path / 'file').as_uri()}/archive")
    old_rows.now = NOW.replace(year=2027)
    kept = rows("purge_orders", "kept")
    with pytest.raises(ArchiveFailed):
        await jobs["toll_roads_archive"].run(0)
    await jobs["toll_roads_purge_offers"].run(0)
    await jobs["toll_roads_purge_orders"].run(0)
    assert len(await old_rows.stored_orders()) == 3
    assert rows("purge_orders", "kept") == kept + 3
    assert last_success("purge_orders") == last_success("purge_offers") == old_rows.now.timestamp()
    assert last_success("archive") != old_rows.now.timestamp()
    assert before != old_rows.now.timestamp()


async def test_without_an_archive_there_is_no_archive_job_and_no_order_is_deleted(old_rows: Retention) -> None:
    jobs = jobs_of(old_rows, archive_url=None)
    assert "toll_roads_archive" not in jobs
    for job in jobs.values():
        await job.run(0)
    assert len(await old_rows.stored_orders()) == 3


async def test_two_workers_run_the_jobs_and_the_archive_has_each_row_once(
    old_rows: Retention, keys_dir: Path, config_dir: Path, log: LogCapture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given: the service as it is built, its jobs due every second instead of every hour
    settings = ProcessSettings(
        services=("toll-roads",),
        config_dir=config_dir,
        keys_dir=keys_dir,
        database_urls={"toll-roads": old_rows.database_url},
        addresses={"order-core": "127.0.0.1:1"},
        archive_url=old_rows.archive_url,
    )
    stop = asyncio.Event()
    definitions = [suite.SERVICES["toll-roads"]]

    def hasty(tasks: object) -> list[Task]:
        assert isinstance(tasks, tuple)
        return [Task(task.name, task.run, schedule=task.schedule and "* * * * * *") for task in tasks]

    async with (
        app.build(definitions, settings, clock=lambda: NOW) as first,
        app.build(definitions, settings, clock=lambda: NOW) as second,
    ):
        workers = [
            asyncio.create_task(
                TaskQueue("toll-roads", old_rows.database).run_worker(
                    hasty(built.services[0][1].tasks), built.tuning.tasks, stop=stop
                )
            )
            for built in (first, second)
        ]

        # when
        async def all_is_done() -> bool:
            return [row[0] for row in await old_rows.stored_orders()] == ["old", "switched"]

        await until(all_is_done)
        stop.set()
        await asyncio.gather(*workers)
    # then
    assert [row[0] for row in old_rows.archived_orders()] == ["ancient", "old", "switched"]
    assert len(old_rows.archived_changes()) == 4
    assert await old_rows.rows("SELECT offer_id FROM toll_roads.offers") == [("young",)]
    assert log.events("task failed") == []


@pytest.mark.integration
def test_several_processes_export_the_latest_success_and_the_sum_of_rows(tmp_path: Path) -> None:
    program = (
        "import sys; from ridehail_servers.toll_roads.retention import metrics as m\n"
        "m.RETENTION_LAST_SUCCESS.labels('archive').set(float(sys.argv[1]))\n"
        "m.RETENTION_ROWS.labels('archive_log', 'archived').inc(5)\n"
    )
    for timestamp in ("1000", "3000", "2000"):
        subprocess.run(
            [sys.executable, "-c", program, timestamp],
            env={"PROMETHEUS_MULTIPROC_DIR": str(tmp_path), "PATH": str(shutil.which("python"))},
            check=True,
            timeout=60,
        )
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(tmp_path))  # type: ignore[no-untyped-call]
    exported = generate_latest(registry).decode()
    assert 'ridehail_toll_roads_retention_last_success_timestamp_seconds{job="archive"} 3000.0' in exported
    assert 'ridehail_toll_roads_retention_rows_total{outcome="archived",step="archive_log"} 15.0' in exported


def test_a_worker_without_the_library_of_its_archive_does_not_start(
    retention: Retention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "deltalake", None)
    monkeypatch.delitem(sys.modules, "ridehail_servers.toll_roads.retention.delta_archive", raising=False)
    with pytest.raises(ExtraMissing, match=r"pip install 'ridehail\[archive\]'"):
        jobs_of(retention, archive_url="file:///archive")
    assert "toll_roads_archive" not in jobs_of(retention, archive_url=None)
