"""The levels of tests, of which each has one: `unit`, `integration` or `e2e`. Some are `slow` as well.

A test has the level of its marks; else that of its folder; else `integration` if a fixture of it uses `sockets`; else
`unit`. A unit test that starts a process or opens a socket fails, so the level is true.

Long forms, as of crash campaigns, are marked as `long` and run with `--long` only. Each has a short form that always
runs.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.io_guard import io_forbidden

LEVELS = {
    "unit": "no process, no socket: rules by themselves",
    "integration": "real sockets, Postgres or Redis: one process",
    "e2e": "real Envoy, or several processes",
}
OTHERS = {"slow": "crash campaigns, benchmarks", "long": "the long form of a crash campaign"}
_E2E_FOLDERS = {"bench", "crash", "deploy", "e2e", "gateway"}
_SLOW_FOLDERS = {"bench", "crash"}
_OPENING = "sockets"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long forms of crash campaigns as well")


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in {**LEVELS, **OTHERS}.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks every test, before `-m` selects, and deselects long forms without `--long`."""
    for item in items:
        folder = _folder(item.path)
        if not any(item.get_closest_marker(name) for name in LEVELS):
            item.add_marker(_level(folder, item))
        if folder in _SLOW_FOLDERS:
            item.add_marker("slow")
    if not config.getoption("long"):
        long = [item for item in items if item.get_closest_marker("long")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]


def _folder(file: Path) -> str:
    """Returns the name of the folder in `tests` that a file is in."""
    return file.parts[len(Path(__file__).parents[1].parts)]


def _level(folder: str, item: pytest.Item) -> str:
    if folder in _E2E_FOLDERS:
        return "e2e"
    return "integration" if _OPENING in getattr(item, "fixturenames", ()) else "unit"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Forbids I/O while the fixtures of a unit test are set up."""
    with io_forbidden(only_if=_is_unit(item)):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Forbids I/O while a unit test runs."""
    with io_forbidden(only_if=_is_unit(item)):
        return (yield)


def _is_unit(item: pytest.Item) -> bool:
    return item.get_closest_marker("unit") is not None
