"""api_proxy, served for real, with a scripted server in the place of eulas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api_proxy.proxy import Proxy, serving
from tests.api_proxy.scripted_eulas import ScriptedEulas, scripted_eulas
from tests.support.config_edits import edit


@pytest.fixture
async def eulas() -> AsyncIterator[ScriptedEulas]:
    async with scripted_eulas() as scripted:
        yield scripted


@pytest.fixture
async def proxy(eulas: ScriptedEulas, keys_dir: Path, config_dir: Path) -> AsyncIterator[Proxy]:
    """api_proxy as it is shipped, but with patience for a busy machine."""
    edit(config_dir / "api_proxy.yaml", {"EULAS_TIMEOUT_MS": 900})
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        yield proxy
