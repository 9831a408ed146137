"""Fixtures of the tests of eulas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.eulas.harness import Harness
from tests.eulas.harness import harness as running_harness
from tests.eulas.users import User
from tests.support.databases import empty_tables


@pytest.fixture
def database_url(module_database_url: str) -> str:
    """The database of the module, with nothing in it."""
    with psycopg.connect(module_database_url, autocommit=True) as connection:
        empty_tables(connection)
    return module_database_url


@pytest.fixture(scope="module")
async def module_harness(module_database_url: str, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[Harness]:
    """A harness that the tests of a module share."""
    async with running_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir
    ) as harness:
        yield harness


@pytest.fixture
async def harness(module_harness: Harness) -> Harness:
    """The module's harness, as if nothing had happened in it."""
    await module_harness.reset()
    return module_harness


@pytest.fixture
def user(harness: Harness) -> User:
    return harness.user("4000000001")
