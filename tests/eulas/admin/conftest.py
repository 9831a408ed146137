"""Fixtures of the tests of the admin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.eulas.admin.admin_harness import AdminHarness, admin_harness


@pytest.fixture(scope="module")
async def module_admin(
    module_database_url: str, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[AdminHarness]:
    """A harness that the tests of a module share."""
    async with admin_harness(
        database_url=module_database_url, keys_dir=keys_dir, config_dir=module_config_dir
    ) as running:
        yield running


@pytest.fixture
async def admin(module_admin: AdminHarness) -> AdminHarness:
    """The module's harness, with what the file has in the database."""
    await module_admin.reset()
    return module_admin
