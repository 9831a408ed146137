"""What the tests of toll_roads share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.log_capture import LogCapture, captured_logs


@pytest.fixture(autouse=True)
def log() -> Iterator[LogCapture]:
    """All that is logged during the test."""
    with captured_logs() as capture:
        yield capture
