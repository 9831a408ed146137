"""What the tests of toll_roads share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.retention import Retention, retention_of


@pytest.fixture
async def retention(database_url: str, tmp_path: Path) -> AsyncIterator[Retention]:
    """A database without rows, and no archive yet."""
    async with retention_of(database_url, tmp_path) as opened:
        yield opened
