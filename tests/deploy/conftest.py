"""Services in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ridehail_servers.suite import SERVICES
from tests.support.suite_in_process import SuiteInProcess, suite_in_process


@pytest.fixture(scope="module")
async def suite_with_tasks(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[SuiteInProcess]:
    """The services that have background tasks."""
    names = [name for name, definition in SERVICES.items() if definition.has_tasks]
    async with suite_in_process(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, services=names
    ) as running:
        yield running
