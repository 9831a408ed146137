"""Background tasks: a queue in the service's own schema, so that a task is enqueued with the write that asks for it.

Tasks run at least once: a worker that dies leaves its tasks to the others, so each task must bear to be run again.
Their arguments are ids only, because they are logged.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import procrastinate
import psycopg
from croniter import croniter
from procrastinate import exceptions as procrastinate_errors
from procrastinate.middleware import AsyncCallNext
from procrastinate.worker import Worker
from psycopg import conninfo

from ridehail_kernel import call_context

from .background import report_failure
from .database import Connection, Database
from .database_connection import BoundedConnection
from .errors import DatabaseUnavailable, DependencyUnavailable, DomainError, Overloaded
from .logs import get_logger
from .metrics import (
    TASK_DURATION,
    TASK_LAST_SUCCESS,
    TASK_PERIOD,
    TASKS_OLDEST,
    TASKS_RESCUED,
    TASKS_WAITING,
)
from .settings import TaskSettings
from .task_store import TaskStore

logger = get_logger(__name__)

_MAX_RETRY_WAIT_S = 300
# How long a worker waits before it tries a lost database again.
_RECONNECT_S = 1.0
_OPEN_S = 5.0
_CANCEL_AGAIN_S = 1.0
_BACKLOG_INTERVAL_S = 10.0
_OUTCOMES = ("done", "refused", "retried", "failed")
_DATABASE_LOST = (
    procrastinate_errors.ConnectorException,
    psycopg.Error,
    DatabaseUnavailable,
    Overloaded,
    TimeoutError,
)


class _UntilItPasses(procrastinate.BaseRetryStrategy):
    """Repeats what fails for want of a database or a dependency, with growing waits; all else fails for good at once.

    A task that a stopping worker did not wait for any longer is left to the others.
    """

    def get_retry_decision(
        self, *, exception: BaseException, job: procrastinate.jobs.Job
    ) -> procrastinate.RetryDecision | None:
        if isinstance(exception, DatabaseUnavailable | DependencyUnavailable | Overloaded):
            return procrastinate.RetryDecision(retry_in={"seconds": min(2**job.attempts, _MAX_RETRY_WAIT_S)})
        if isinstance(exception, asyncio.CancelledError):
            return procrastinate.RetryDecision(retry_in={"seconds": 0})
        return None


class TaskRefused(Exception):
    """A task that will never succeed: logged, counted, and not tried again. The message holds nothing personal."""


@dataclass(frozen=True, slots=True)
class Task:
    """A background task.

    Attributes:
        name: Its name in the queue and in the metrics.
        run: Does the work, given the id that it was enqueued with; a scheduled task, the Unix time that it was due at.
        schedule: When it is enqueued by itself, as in `5 * * * *` (minute, hour, day, month, weekday; UTC), or None:
            once each time, however many workers there are. A time that every worker missed by more than ten minutes is
            skipped.
    """

    name: str
    run: Callable[[int], Awaitable[None]]
    schedule: str | None = None


class TaskQueue:
    def __init__(self, service: str, database: Database) -> None:
        self._service = service
        self._database = database
        self._store = TaskStore()
        self._scheduled: set[str] = set()
        self._connections: weakref.WeakSet[BoundedConnection] = weakref.WeakSet()
        self._app = procrastinate.App(connector=_connector(database, self._bound, max_size=4))

    async def enqueue(self, connection: Connection, task: str, subject: int) -> None:
        """Enqueues a task for the id of its subject; it exists once the connection's transaction is committed."""
        try:
            await self._app.configure_task(task, connection=connection).defer_async(subject=subject)
        except procrastinate_errors.ConnectorException as error:
            # The errors of the database are judged by who lent the connection.
            if isinstance(error.__cause__, psycopg.Error):
                raise error.__cause__ from error
            raise

    async def run_worker(self, tasks: Sequence[Task], settings: TaskSettings, *, stop: asyncio.Event) -> None:
        """Runs tasks until `stop` is set, then waits for those under way. Survives the loss of the database."""
        for task in tasks:
            self._register(task)
        self._show_counters(tasks)
        stopping = asyncio.create_task(stop.wait())
        while not stop.is_set():
            try:
                await self._run_until(stopping, settings, [task.name for task in tasks])
            except _DATABASE_LOST as error:
                logger.warning("task worker lost its database", service=self._service, error=type(error).__name__)
            except Exception as error:  # a defect in what goes on beside the tasks must not end them
                report_failure(f"tasks of {self._service}", error)
            await asyncio.wait({stopping}, timeout=_RECONNECT_S)

    def _show_counters(self, tasks: Sequence[Task]) -> None:
        """Shows every counter at 0: of one that appears with its first event, nobody sees that it grew.

        A scheduled task counts as done when its worker starts: it is missed a while after that.
        """
        for task in tasks:
            for outcome in _OUTCOMES:
                TASK_DURATION.labels(self._service, task.name, outcome)
            if task.schedule is not None:
                TASK_LAST_SUCCESS.labels(self._service, task.name).set_to_current_time()
                TASK_PERIOD.labels(self._service, task.name).set(_period_s(task.schedule))
        TASKS_RESCUED.labels(self._service)

    def _register(self, task: Task) -> None:
        async def run(**argument: int) -> None:
            await task.run(*argument.values())

        registered = self._app.task(name=task.name, retry=_UntilItPasses())(run)
        if task.schedule is not None:
            self._scheduled.add(task.name)
            self._app.periodic(cron=task.schedule)(registered)  # type: ignore[arg-type]  # it takes any name

    async def _bound(self, connection: BoundedConnection) -> None:
        """Prepares a new connection of procrastinate's, of its pool as well as the one that listens."""
        connection.max_statement_s = self._database.max_statement_s
        self._connections.add(connection)

    async def _run_until(self, stopping: asyncio.Task[bool], settings: TaskSettings, tasks: Sequence[str]) -> None:
        # procrastinate's pool gives a database that is away up, so it is opened only once there is one.
        await self._database.read(lambda connection: connection.execute("SELECT 1"))
        try:
            await asyncio.wait_for(self._app.open_async(), _OPEN_S)
            worker = asyncio.create_task(
                self._app.run_worker_async(
                    concurrency=settings.concurrency,
                    install_signal_handlers=False,
                    update_heartbeat_interval=settings.heartbeat_s,
                    stalled_worker_timeout=settings.stalled_after_s,
                    shutdown_graceful_timeout=settings.drain_s,
                    fetch_job_polling_interval=1.0,
                    delete_jobs="successful",
                    worker_middleware=[self._report],
                )
            )
            rescue = asyncio.create_task(self._rescue_forever(settings))
            backlog = asyncio.create_task(self._report_backlog(tasks))
            await asyncio.wait({worker, rescue, backlog, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                # What still waits for a lost server would keep the worker from ending, and so from starting anew.
                for connection in tuple(self._connections):
                    connection.abandon()
            worker.cancel()  # procrastinate's worker takes it as a request to finish what runs
            results = await asyncio.gather(worker, _end(rescue), _end(backlog), return_exceptions=True)
        finally:
            # Also after a failure to open: a pool that is not closed would be taken for an open one the next time.
            await self._app.close_async()
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _report(self, run: AsyncCallNext, context: procrastinate.JobContext, _worker: Worker) -> None:
        with call_context.call_context(service=self._service):
            await self._run_and_report(run, context)

    async def _run_and_report(self, run: AsyncCallNext, context: procrastinate.JobContext) -> None:
        """Runs a task, measures it and logs why it fails."""
        task, (subject,) = context.job.task_name, context.job.task_kwargs.values()
        started, outcome = time.perf_counter(), "failed"
        try:
            await run()
            outcome = "done"
            if task in self._scheduled:
                TASK_LAST_SUCCESS.labels(self._service, task).set_to_current_time()
        except DomainError as error:
            outcome = "retried"
            logger.warning("task failed for now", task=task, subject=subject, reason=error.reason)
            raise
        except Exception as error:
            if isinstance(error, TaskRefused):
                outcome = "refused"
                logger.error("task refused", task=task, subject=subject, reason=str(error))
            else:
                logger.error("task failed", task=task, subject=subject, exc_info=error)
            if task not in self._scheduled:
                raise
            # Its time comes again, so it is not kept as one that failed for good.
            logger.warning("scheduled task left to its next time", task=task)
        finally:
            TASK_DURATION.labels(self._service, task, outcome).observe(time.perf_counter() - started)

    async def _report_backlog(self, tasks: Sequence[str]) -> None:
        while True:
            async with self._database.connection() as connection:
                found = await self._store.backlog(connection)
            for name in tasks:
                number, seconds = found.get(name, (0, 0.0))
                TASKS_WAITING.labels(self._service, name).set(number)
                TASKS_OLDEST.labels(self._service, name).set(seconds)
            await asyncio.sleep(_BACKLOG_INTERVAL_S)

    async def _rescue_forever(self, settings: TaskSettings) -> None:
        """Gives the tasks of dead workers to living ones; procrastinate leaves that to its users."""
        while True:
            async with self._database.transaction() as connection:
                # One worker at a time: a task that another has just rescued looks like one that is still to be.
                if await self._store.try_lock_rescue(connection, self._database.schema):
                    await self._rescue(settings.stalled_after_s)
            await asyncio.sleep(settings.rescue_interval_s)

    async def _rescue(self, stalled_after_s: float) -> None:
        for job in await self._app.job_manager.get_stalled_jobs(seconds_since_heartbeat=stalled_after_s):
            try:
                await self._app.job_manager.retry_job(job)
            except procrastinate_errors.ConnectorException as error:
                if not isinstance(error.__cause__, psycopg.errors.RaiseException):
                    raise
                continue  # it is done: its worker was only slow
            TASKS_RESCUED.labels(self._service).inc()
            logger.warning("task rescued from a dead worker", task=job.task_name, job=job.id)


def _period_s(schedule: str) -> float:
    times = croniter(schedule)
    first: float = times.get_next()
    second: float = times.get_next()
    return second - first


async def _end(endless: asyncio.Task[None]) -> None:
    """Cancels a task until it ends: a single cancellation may get lost in what the task waits for."""
    while not endless.done():
        endless.cancel()
        await asyncio.wait({endless}, timeout=_CANCEL_AGAIN_S)
    if not endless.cancelled():
        endless.result()


async def _keep(_connection: BoundedConnection) -> None:
    """Does nothing. A pool with such a callback takes connections back in a task of its own, which nobody cancels."""


def _connector(
    database: Database, prepare: Callable[[BoundedConnection], Awaitable[None]], *, max_size: int
) -> procrastinate.PsycopgConnector:
    # The worker waits for a poll of the queue rather than for a call, so its own statements may take their time.
    return procrastinate.PsycopgConnector(
        conninfo=conninfo.make_conninfo(database.conninfo, application_name=f"{database.schema} tasks"),
        min_size=1,
        max_size=max_size,
        timeout=_OPEN_S,
        reconnect_timeout=0.5,
        connection_class=BoundedConnection,
        configure=prepare,
        reset=_keep,
    )
