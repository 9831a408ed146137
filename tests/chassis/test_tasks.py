"""Background tasks: done once in effect, whatever happens to the worker or to Postgres meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from prometheus_client import REGISTRY

from ridehail_clients import AsyncTollRoadsClient
from ridehail_servers.chassis.errors import DatabaseUnavailable, DependencyUnavailable, Overloaded
from ridehail_servers.chassis.settings import ProcessSettings, TaskSettings
from ridehail_servers.chassis.tasks import Task, TaskRefused
from ridehail_servers.runtime.supervisor import ChildSpec, Process, Supervisor, child
from tests.support.config_edits import edit
from tests.support.databases import empty_tables
from tests.support.locks import locked_table
from tests.support.log_capture import LogCapture
from tests.support.suite_in_process import SuiteInProcess
from tests.support.task_trial import FAST_WORKER, NAME, Trial, trial_at
from tests.support.waiting import LIMIT_S, until

CREATED = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
def trial_url(module_database_url: str) -> str:
    """A database that the tests share, with nothing in it."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        empty_tables(connection)
    return module_database_url


@pytest.fixture
async def trial(trial_url: str) -> AsyncIterator[Trial]:
    async with trial_at(trial_url) as trial:
        yield trial


def measured(outcome: str) -> float:
    labels = {"service": "toll-roads", "task": NAME, "outcome": outcome}
    return REGISTRY.get_sample_value("ridehail_task_duration_seconds_count", labels) or 0


def of_schedule(figure: str) -> float:
    return REGISTRY.get_sample_value(f"ridehail_task_{figure}_seconds", {"service": "toll-roads", "task": NAME}) or 0


# --- enqueueing


async def test_a_task_exists_only_if_its_transaction_does(trial: Trial) -> None:
    async def enqueue_and_fail() -> None:
        async with trial.database.transaction() as connection:
            await trial.queue.enqueue(connection, NAME, 1)
            await connection.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        await enqueue_and_fail()
    assert await trial.jobs() == []


async def test_a_database_that_is_lost_while_enqueueing_is_reported_as_such(trial: Trial) -> None:
    async def enqueue_on_a_killed_connection() -> None:
        async with trial.database.transaction() as connection:
            async with await psycopg.AsyncConnection.connect(trial.database.conninfo) as killer:
                await killer.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
            await trial.queue.enqueue(connection, NAME, 1)

    with pytest.raises(DatabaseUnavailable):
        await enqueue_on_a_killed_connection()


# --- outcomes


async def test_a_task_that_is_done_leaves_nothing_behind(trial: Trial) -> None:
    before = measured("done")

    async def run(_subject: int) -> None: ...

    await trial.enqueue(7)
    async with trial.worker(run):
        await until(trial.no_job_is_left)
    assert trial.runs == [7]
    assert measured("done") == before + 1


@pytest.mark.parametrize("failure", [DatabaseUnavailable(), DependencyUnavailable("order-core"), Overloaded()])
async def test_what_fails_for_want_of_another_is_tried_again(trial: Trial, failure: Exception) -> None:
    before = measured("retried")

    async def run(_subject: int) -> None:
        if len(trial.runs) == 1:
            raise failure

    await trial.enqueue(7)
    async with trial.worker(run):
        await until(trial.no_job_is_left)
    assert trial.runs == [7, 7]
    assert measured("retried") == before + 1


@pytest.mark.parametrize(
    ("failure", "outcome", "event"),
    [(TaskRefused("never"), "refused", "task refused"), (LookupError("a defect"), "failed", "task failed")],
)
async def test_what_will_never_succeed_is_not_tried_again(
    trial: Trial, log: LogCapture, failure: Exception, outcome: str, event: str
) -> None:
    before = measured(outcome)

    async def run(_subject: int) -> None:
        raise failure

    async def has_failed() -> bool:
        return await trial.jobs() == [("failed", 1)]

    await trial.enqueue(7)
    async with trial.worker(run):
        await until(has_failed)
    assert trial.runs == [7]
    assert measured(outcome) == before + 1
    line = log.events(event)[0]
    assert (line["level"], line["task"], line["subject"]) == ("error", NAME, 7)


# --- schedules

EVERY_SECOND = "* * * * * *"


async def test_a_scheduled_task_runs_once_each_time_however_many_workers_there_are(trial_url: str) -> None:
    runs: list[tuple[int, int]] = []

    async def work(worker: int, trial: Trial, stop: asyncio.Event) -> None:
        async def run(at: int) -> None:
            runs.append((at, worker))

        await trial.queue.run_worker(
            [Task(NAME, run, schedule=EVERY_SECOND)], TaskSettings.model_validate(FAST_WORKER), stop=stop
        )

    stop = asyncio.Event()
    began = time.time()
    async with trial_at(trial_url) as first, trial_at(trial_url) as second, trial_at(trial_url) as third:
        workers = [asyncio.create_task(work(n, trial, stop)) for n, trial in enumerate((first, second, third))]
        await until(lambda: len(runs) >= 3)
        stop.set()
        await asyncio.gather(*workers)
    times = [at for at, _worker in runs]
    assert len(times) == len(set(times))
    assert sorted(times) == list(range(min(times), max(times) + 1))
    assert of_schedule("period") == 1
    assert began < of_schedule("last_success_timestamp") <= time.time()


async def test_a_scheduled_task_that_fails_is_logged_and_runs_again_at_its_next_time(
    trial: Trial, log: LogCapture
) -> None:
    before = measured("failed")
    runs: list[int] = []

    async def run(at: int) -> None:
        runs.append(at)
        raise LookupError("a defect")

    stop = asyncio.Event()
    task = Task(NAME, run, schedule=EVERY_SECOND)
    worker = asyncio.create_task(trial.queue.run_worker([task], TaskSettings.model_validate(FAST_WORKER), stop=stop))
    await until(lambda: runs)
    done = of_schedule("last_success_timestamp")
    await until(lambda: len(runs) >= 2)
    stop.set()
    await asyncio.wait_for(worker, LIMIT_S)
    assert of_schedule("last_success_timestamp") == done
    assert len(set(runs)) == len(runs)
    assert measured("failed") == before + len(runs)
    assert len(log.events("task failed")) == len(log.events("scheduled task left to its next time")) == len(runs)
    assert await trial.jobs() == []  # nothing piles up


async def test_a_scheduled_task_that_fails_for_want_of_the_database_is_tried_again(trial: Trial) -> None:
    runs: list[int] = []

    async def run(at: int) -> None:
        runs.append(at)
        if len(runs) == 1:
            raise DatabaseUnavailable

    stop = asyncio.Event()
    # Due once a year, at the start of January: the worker starts it as the queue would, by its name.
    task = Task(NAME, run, schedule="0 0 1 1 *")
    worker = asyncio.create_task(trial.queue.run_worker([task], TaskSettings.model_validate(FAST_WORKER), stop=stop))
    async with trial.database.connection() as connection:
        await connection.execute(
            "SELECT procrastinate_defer_periodic_job_v2('default', NULL, NULL, %s, 0, '', 7, %s)",
            (NAME, '{"timestamp": 7}'),
        )
    await until(lambda: len(runs) >= 2)
    await until(trial.no_job_is_left)
    stop.set()
    await asyncio.wait_for(worker, LIMIT_S)
    assert runs == [7, 7]


# --- workers that stop


async def test_a_stopping_worker_waits_for_what_it_runs(trial: Trial) -> None:
    running, go = asyncio.Event(), asyncio.Event()

    async def run(_subject: int) -> None:
        running.set()
        await go.wait()

    await trial.enqueue(7)
    async with trial.worker(run) as stop:
        await running.wait()
        stop.set()
        go.set()
    assert await trial.jobs() == []


async def test_what_a_stopping_worker_cannot_wait_for_is_left_to_the_others(trial: Trial, trial_url: str) -> None:
    running = asyncio.Event()

    async def hang(_subject: int) -> None:
        running.set()
        await asyncio.Event().wait()

    await trial.enqueue(7)
    async with trial.worker(hang, drain_s=0.1) as stop:
        await running.wait()
        stop.set()
    assert await trial.jobs() == [("todo", 1)]

    async def run(_subject: int) -> None: ...

    async with trial_at(trial_url) as other, other.worker(run):
        await until(other.no_job_is_left)
        assert other.runs == [7]


async def test_tasks_of_a_dead_worker_are_rescued_once_by_whoever_is_first(
    trial: Trial, trial_url: str, log: LogCapture
) -> None:
    for subject in range(50):
        await trial.enqueue(subject)
    async with trial.database.connection() as connection:
        await connection.execute("UPDATE procrastinate_jobs SET status = 'doing'")  # by a worker that nobody knows of

    done: list[int] = []

    async def run(subject: int) -> None:
        done.append(subject)

    async with trial_at(trial_url) as second, trial_at(trial_url) as third:  # noqa: SIM117  # reads better
        async with trial.worker(run), second.worker(run), third.worker(run):
            await until(trial.no_job_is_left)
    assert sorted(done) == list(range(50))
    assert len(log.events("task rescued from a dead worker")) == 50
    assert log.events("task worker lost its database") == []


# --- killed workers


def a_worker(name: str, suite: SuiteInProcess, log_file: Path) -> Process:
    settings = ProcessSettings(
        services=("toll-roads",),
        config_dir=suite.settings.config_dir,
        keys_dir=suite.settings.keys_dir,
        database_urls={"toll-roads": suite.database_url},
        addresses={"order-core": suite.address},
    )
    return child(name, ChildSpec(role="work", settings=settings), log=log_file)


async def test_a_task_whose_worker_is_killed_has_its_effect_exactly_once(
    own_suite: SuiteInProcess, config_dir: Path, tmp_path: Path
) -> None:
    # given: a worker in the middle of the task, which waits for a lock that this test holds
    edit(config_dir / "server.yaml", {"tasks": FAST_WORKER, "pool": {"lock_timeout_ms": 60_000}})
    async with AsyncTollRoadsClient(own_suite.address, ticket=own_suite.ticket("processing")) as client:
        await client.enqueue_order_save(
            order_id="order", created=CREATED, can_switch_road=False, user_chose_toll_road=True, offer_id="offer"
        )
    first, second = Supervisor(), Supervisor()
    victim = a_worker("work-1", own_suite, tmp_path / "work-1.log")
    async with locked_table(own_suite.database_url, "toll_roads.log_has_toll_road") as lock:
        await victim_starts(first, victim)
        await until(lock.waiting)

        # when: it is killed, and another one starts
        assert victim.running is not None
        victim.running.kill()
        await victim.running.wait()
        await second.start(a_worker("work-2", own_suite, tmp_path / "work-2.log"))

        async def other_worker_waits() -> bool:
            return "task rescued" in (tmp_path / "work-2.log").read_text() and bool(await lock.waiting())

        await until(other_worker_waits)
        assert await own_suite.rows("SELECT * FROM toll_roads.orders") == []
        await lock.release()

    # then: the order is saved, once
    async def is_done() -> bool:
        return await own_suite.rows("SELECT 1 FROM toll_roads.procrastinate_jobs") == []

    await until(is_done)
    await second.stop()
    assert await own_suite.rows("SELECT order_id, offer_id FROM toll_roads.orders") == [("order", "offer")]
    assert await own_suite.rows("SELECT order_id, created_at, has_toll_road FROM toll_roads.log_has_toll_road") == [
        ("order", CREATED, True)
    ]
    assert await own_suite.rows("SELECT 1 FROM toll_roads.order_save_requests") == []


async def victim_starts(supervisor: Supervisor, victim: Process) -> None:
    """Starts the process, and sees to it that nobody starts it again."""
    await supervisor.start(victim)
    for watcher in supervisor._watchers:
        watcher.cancel()
