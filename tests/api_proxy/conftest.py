"""api_proxy, served for real, with a scripted server in the place of eulas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api_proxy.proxy import Proxy, serving
from tests.api_proxy.scripted_eulas import ScriptedEulas, scripted_eulas
from tests.api_proxy.scripted_launch import LISTED, STATE, World, accepting, listing, telling
from tests.api_proxy.scripted_orders import SERVICE, TAXI, WHOLE, scripted_orders
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


@pytest.fixture
async def world(eulas: ScriptedEulas, keys_dir: Path, config_dir: Path) -> AsyncIterator[World]:
    """All of the neighbours answer."""
    eulas.on_list = accepting("sdc")
    async with scripted_orders() as orders:
        orders.on = {WHOLE: telling(STATE), TAXI: listing(LISTED), SERVICE: listing({})}
        yield World(orders, eulas, keys_dir, config_dir)
