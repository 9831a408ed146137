"""What the tests of users' data share: all services with a planted user, and the task that does the work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from ridehail_clients import AsyncUserDataJobsClient, UserDataJob
from ridehail_servers import suite
from ridehail_servers.chassis.tasks import Task
from tests.support.suite_in_process import SuiteInProcess
from tests.user_data.planted import plant

SERVICES = (*suite.SERVICES["user-data"].dependencies, "user-data")


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return SERVICES


@pytest.fixture(scope="module")
def module_config_dir(module_config_dir: Path) -> Path:
    (module_config_dir / "user_data.yaml").write_text("settle_s: 0\n")
    return module_config_dir


class Erasing:
    """The suite, its jobs, and a worker that runs when it is told to."""

    def __init__(self, suite: SuiteInProcess, client: AsyncUserDataJobsClient) -> None:
        self.suite = suite
        self.client = client

    async def work(self) -> UserDataJob | None:
        """Runs what there is to do, waits aside, as often as a job needs; returns the latest job."""
        for _ in range(4):
            await self.suite.execute("UPDATE user_data.jobs SET next_run_at = now() WHERE next_run_at IS NOT NULL")
            await self.task("user-data", "user_data_jobs").run(0)
            await self.task("toll-roads", "toll_roads_erase_archived").run(0)
        return await self.latest()

    async def latest(self) -> UserDataJob | None:
        found = await self.suite.rows("SELECT job_id FROM user_data.jobs ORDER BY requested_at DESC LIMIT 1")
        return await self.client.get_user_data_job(job_id=str(found[0][0])) if found else None

    def task(self, service: str, name: str) -> Task:
        return next(
            task
            for definition, running in self.suite.built.services
            if definition.name == service
            for task in running.tasks
            if task.name == name
        )


@pytest.fixture
async def erasing(module_suite: SuiteInProcess) -> AsyncIterator[Erasing]:
    await module_suite.empty_tables()
    await plant(module_suite)
    ticket = module_suite.ticket("admin")
    async with AsyncUserDataJobsClient(module_suite.address, ticket=ticket, attempt_timeout=30.0) as client:
        yield Erasing(module_suite, client)
