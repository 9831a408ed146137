"""What the tests of the chassis share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.recorded_suite import RecordedSuite
from tests.support.recorded_suite import recorded_suite as serve_recorded


@pytest.fixture
async def recorded_suite(keys_dir: Path, config_dir: Path) -> AsyncIterator[RecordedSuite]:
    """Every service, with handlers that only note that they were reached."""
    async with serve_recorded(keys_dir=keys_dir, config_dir=config_dir) as suite:
        yield suite
