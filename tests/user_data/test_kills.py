"""An erasure survives whoever works on it: after a death at any step the next run ends it, and the receipt is right."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import grpc
import pytest

from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.user_data.config import UserDataConfig
from ridehail_servers.user_data.dependencies import DataServices
from ridehail_servers.user_data.erasures import Erasures
from ridehail_servers.user_data.exports import Exports
from ridehail_servers.user_data.jobs import Jobs
from ridehail_servers.user_data.store import JobStore
from ridehail_servers.user_data.tasks import RunJobs
from tests.support.crash_injector import first_and_last
from tests.support.suite_in_process import SuiteInProcess
from tests.user_data.planted import PLANTED, UID, found_in, plant

# The smallest set in which services know one another's users: by orders, and with an archive.
SERVICES = ("eulas", "order-core", "toll-roads")


class Died(BaseException):
    """The process is gone: nothing after this step happens."""


class Steps:
    """Counts the statements and calls of a run, and ends it after one of them."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.names: list[str] = []
        self._dies_after = dies_after

    def done(self, name: str) -> None:
        if self._dies_after is not None and len(self.names) >= self._dies_after:
            raise Died  # what went on beside it
        self.names.append(name)
        if len(self.names) == self._dies_after:
            raise Died


class Counted:
    """Passes every call on, and counts it once it is done."""

    def __init__(self, target: Any, steps: Steps) -> None:
        self._target = target
        self._steps = steps

    def __getattr__(self, name: str) -> Any:  # whatever the target has
        found = getattr(self._target, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            result = await found(*arguments, **named)
            self._steps.done(name)
            return result

        return call


def run_jobs(suite: SuiteInProcess, channels: dict[str, grpc.aio.Channel], steps: Steps) -> tuple[Erasures, RunJobs]:
    services = DataServices(channels, ticket=suite.ticket("user-data"))
    vars(services)["_clients"] = {name: Counted(it, steps) for name, it in vars(services)["_clients"].items()}
    store: Any = Counted(JobStore(), steps)
    jobs = Jobs(suite.database("user-data"), store, services, system_clock, new_id=lambda: "job")
    config = UserDataConfig(settle_s=0)
    erasures = Erasures(jobs, lambda: config)
    return erasures, RunJobs(jobs, erasures, Exports(jobs), lambda: config)


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return (
        *SERVICES,
        "user-data",
        "eats-orders",
        "family",
        "grocery-orders",
        "order-state",
        "protocol",
        "route-sharing",
        "user-state",
    )


async def erase(suite: SuiteInProcess, dies_after: int | None = None) -> Steps:
    """Erases the planted user; after a death the next run goes on. Returns the steps of the first run."""
    await suite.empty_tables()
    await plant(suite)
    async with suite.channel() as channel:
        channels = dict.fromkeys(SERVICES, channel)
        erasures, _ = run_jobs(suite, channels, Steps())
        await erasures.start(UID, (), "ticket 7")
        steps = Steps(dies_after)
        with suppress(Died):
            await run_jobs(suite, channels, steps)[1].run(0)
        next_run = run_jobs(suite, channels, Steps())[1]
        for _ in range(3):
            # The lease of the dead is over, and the archive has done its part.
            await suite.execute("UPDATE user_data.jobs SET next_run_at = now() WHERE next_run_at IS NOT NULL")
            await suite.execute("UPDATE toll_roads.archive_erasures SET order_id = NULL")
            await next_run.run(0)
    return steps


async def test_an_erasure_that_dies_after_any_step_is_ended_by_the_next_run(module_suite: SuiteInProcess) -> None:
    names = (await erase(module_suite)).names
    assert len(names) > 40
    kept = {f"{schema}." for schema in ("order_core", "eulas", "toll_roads", "user_data")}
    for step in first_and_last(names):
        steps = await erase(module_suite, step)
        assert len(steps.names) == step
        assert not {it for it in await found_in(module_suite, *PLANTED) if any(map(it.startswith, kept))}, names[:step]
        assert await module_suite.rows("SELECT ended_at IS NULL, given_up FROM user_data.jobs") == [(False, False)]
        assert await module_suite.rows("SELECT FROM user_data.job_services WHERE owed") == []
        # What was found is in the receipt, whoever died; of what was erased the last report may be missing.
        counts = await module_suite.rows(
            "SELECT bool_and(found >= 1 OR kind = 'archived_order') FROM user_data.job_counts"
        )
        assert counts == [(True,)], names[:step]
