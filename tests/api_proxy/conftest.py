"""api_proxy, served for real, with scripted servers in the place of those that it calls; one for a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.api_proxy.launch.scripted_launch import LISTED, STATE, Harness, accepting, listing, telling
from tests.api_proxy.launch.scripted_orders import SERVICE, TAXI, WHOLE, ScriptedOrders, scripted_orders
from tests.api_proxy.proxy import Proxy, serving
from tests.api_proxy.scripted_eulas import ScriptedEulas, scripted_eulas


@pytest.fixture(scope="module")
async def module_eulas(sockets: None) -> AsyncIterator[ScriptedEulas]:
    async with scripted_eulas() as scripted:
        yield scripted


@pytest.fixture(scope="module")
async def module_orders(sockets: None) -> AsyncIterator[ScriptedOrders]:
    async with scripted_orders() as scripted:
        yield scripted


@pytest.fixture(scope="module")
async def module_proxy(
    module_eulas: ScriptedEulas, module_orders: ScriptedOrders, keys_dir: Path, module_config_dir: Path
) -> AsyncIterator[Proxy]:
    addresses = {"order-core": module_orders.address, "order-state": module_orders.address}
    async with serving(
        keys_dir=keys_dir, config_dir=module_config_dir, eulas=module_eulas.address, dependencies=addresses
    ) as proxy:
        yield proxy


@pytest.fixture
def eulas(module_eulas: ScriptedEulas) -> ScriptedEulas:
    """Returns eulas without decisions and without recorded calls."""
    module_eulas.forget()
    return module_eulas


@pytest.fixture
def orders(module_orders: ScriptedOrders) -> ScriptedOrders:
    """Returns order services without a script and without recorded calls."""
    module_orders.forget()
    return module_orders


@pytest.fixture
def proxy(module_proxy: Proxy, eulas: ScriptedEulas, orders: ScriptedOrders) -> Proxy:
    """api_proxy as it is shipped, but with timeouts that no machine meets by accident."""
    module_proxy.restore()
    return module_proxy


@pytest.fixture
def harness(proxy: Proxy, eulas: ScriptedEulas, orders: ScriptedOrders) -> Harness:
    """All of the dependencies answer."""
    eulas.on_list = accepting("sdc")
    orders.on = {WHOLE: telling(STATE), TAXI: listing(LISTED), SERVICE: listing({})}
    return Harness(orders, eulas, proxy)
