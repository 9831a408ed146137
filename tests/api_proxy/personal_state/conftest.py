"""api_proxy before both back ends of personal states, one for a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api_proxy.personal_state.personal_state_harness import StateHarness, state_harness


@pytest.fixture(scope="module")
async def module_harness(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[StateHarness]:
    async with state_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir, watched=False
    ) as harness:
        yield harness
