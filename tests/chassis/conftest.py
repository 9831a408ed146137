"""What the tests of the chassis share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.log_capture import LogCapture, captured_logs
from tests.support.recorded_suite import RecordedSuite
from tests.support.recorded_suite import recorded_suite as serve_recorded


@pytest.fixture(autouse=True)
def log() -> Iterator[LogCapture]:
    """All that is logged during the test."""
    with captured_logs() as capture:
        yield capture


@pytest.fixture
async def recorded_suite(keys_dir: Path, config_dir: Path) -> AsyncIterator[RecordedSuite]:
    """Every service, with handlers that only note that they were reached."""
    async with serve_recorded(keys_dir=keys_dir, config_dir=config_dir) as suite:
        yield suite
