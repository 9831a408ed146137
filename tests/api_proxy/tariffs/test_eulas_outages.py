"""However long eulas takes, the rider waits no longer than the configuration says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import grpc
import pytest

from tests.api_proxy.proxy import Proxy, configure, failures, mute, nobody, requires, serving
from tests.api_proxy.scripted_eulas import (
    ROUNDING_S,
    ScriptedEulas,
    at_first,
    failing,
    hanging,
    knowing,
    later,
    scripted_eulas,
    together,
)
from tests.support.waiting import until

pytestmark = pytest.mark.integration

TARIFFS = {"econom": requires("surge", "unknown", "rejected"), "econom_surge": requires("surge", "accepted")}
UNAVAILABLE = {"econom_surge": "eulas_unavailable"}
ACCEPTED = knowing({"surge": "accepted"})
UP = {"econom": "eula_accepted"}


@pytest.mark.parametrize(("timeout_ms", "retries"), [(300, 0), (100, 2)])
async def test_the_rider_waits_for_every_attempt_and_not_longer(
    eulas: ScriptedEulas, proxy: Proxy, timeout_ms: int, retries: int
) -> None:
    """Nobody answers, so every attempt goes on until its own end."""
    eulas.on_check = eulas.on_list = hanging
    proxy.configure(TARIFFS, timeout_ms=timeout_ms, retries=retries)
    response = await proxy.route_stats(*TARIFFS)
    assert (response.shown, response.hidden) == (["econom"], UNAVAILABLE)
    assert response.seconds >= timeout_ms / 1000 * (retries + 1) * 0.95
    assert await proxy.need_acceptance() is None
    assert max(eulas.seconds_left) <= timeout_ms / 1000 + ROUNDING_S
    # On a busy machine an attempt may be over before the server sees it.
    assert 1 <= len(eulas.checked) <= retries + 1
    assert 1 <= len(eulas.listed) <= retries + 1


@pytest.mark.parametrize("down", [nobody, mute])
async def test_an_eulas_that_is_down_costs_no_more_than_its_timeouts(
    keys_dir: Path, config_dir: Path, down: Callable[[], AbstractContextManager[str]]
) -> None:
    """Else the call itself would be late."""
    configure(config_dir, TARIFFS, timeout_ms=100, retries=1)
    with down() as address:
        async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=address) as proxy:
            for _ in range(2):
                response = await proxy.route_stats(*TARIFFS)
                assert (response.shown, response.hidden) == (["econom"], UNAVAILABLE)
                assert await proxy.need_acceptance() is None


@pytest.mark.parametrize("seconds", [1.5, None], ids=["the caller's", "the contract's"])
async def test_eulas_is_not_waited_for_beyond_the_calls_own_time_whatever_the_configuration_says(
    eulas: ScriptedEulas, proxy: Proxy, seconds: float | None
) -> None:
    """A fifth is left for the response."""
    proxy.configure(TARIFFS, retries=10)
    await proxy.route_stats(*TARIFFS, timeout=seconds)
    await proxy.need_acceptance(timeout=seconds)
    assert len(eulas.seconds_left) == 2
    assert max(eulas.seconds_left) <= (seconds or 2) * 0.8 + ROUNDING_S


@pytest.mark.parametrize(
    "first",
    [[failing(grpc.StatusCode.UNAVAILABLE)], [hanging], [failing(grpc.StatusCode.UNAVAILABLE), hanging]],
    ids=["unavailable", "hanging", "both"],
)
async def test_a_repeat_that_succeeds_counts(
    eulas: ScriptedEulas, proxy: Proxy, first: list[Callable[..., object]]
) -> None:
    eulas.on_check = at_first(first, ACCEPTED)  # type: ignore[arg-type]
    proxy.configure(TARIFFS, timeout_ms=500, retries=2)
    before = failures()
    response = await proxy.route_stats(*TARIFFS)
    assert (response.shown, response.hidden) == (["econom_surge"], UP)
    assert len(eulas.checked) == len(first) + 1
    assert failures() == before


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED])
async def test_what_a_repeat_would_not_mend_is_not_repeated(
    eulas: ScriptedEulas, proxy: Proxy, code: grpc.StatusCode
) -> None:
    eulas.on_check = failing(code)
    proxy.configure(TARIFFS, retries=10)
    assert (await proxy.route_stats(*TARIFFS)).hidden == UNAVAILABLE
    assert len(eulas.checked) == 1


async def test_eulas_is_used_again_as_soon_as_it_is_back(keys_dir: Path, config_dir: Path) -> None:
    configure(config_dir, TARIFFS, retries=1)
    with nobody() as address:
        port = int(address.rpartition(":")[2])
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=address) as proxy:
        for _ in range(2):
            assert (await proxy.route_stats(*TARIFFS)).hidden == UNAVAILABLE
            async with scripted_eulas(port=port) as eulas:
                eulas.on_check = ACCEPTED
                await until(lambda: _is_up(proxy))


async def _is_up(proxy: Proxy) -> bool:
    return (await proxy.route_stats(*TARIFFS)).hidden == UP


async def test_riders_wait_beside_each_other(eulas: ScriptedEulas, proxy: Proxy) -> None:
    """None is answered before all have been called for."""
    all_asked = asyncio.Barrier(30)
    eulas.on_check = together(all_asked, ACCEPTED)
    proxy.configure(TARIFFS)
    responses = await asyncio.gather(*(proxy.route_stats(*TARIFFS, uid=f"uid-{n}") for n in range(30)))
    assert all(response.hidden == UP for response in responses)


async def test_an_answer_that_comes_too_late_is_nobodys(eulas: ScriptedEulas, proxy: Proxy) -> None:
    """The rider of a late answer gets none, and the next rider gets their own."""
    proxy.configure(TARIFFS, timeout_ms=200)
    eulas.on_check = later(0.3, ACCEPTED)
    assert (await proxy.route_stats(*TARIFFS, uid="first")).hidden == UNAVAILABLE
    proxy.configure(TARIFFS)
    eulas.on_check = knowing({"surge": "rejected"})
    assert (await proxy.route_stats(*TARIFFS, uid="second")).hidden == {"econom_surge": "eula_rejected"}


async def test_a_rider_who_hangs_up_is_no_failure_of_eulas(eulas: ScriptedEulas, proxy: Proxy) -> None:
    eulas.on_check = hanging
    proxy.configure(TARIFFS, retries=1)
    before = failures()
    asking = asyncio.create_task(proxy.route_stats(*TARIFFS))
    await until(lambda: eulas.checked)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    eulas.on_check = ACCEPTED
    await proxy.route_stats(*TARIFFS)
    assert failures() == before
    assert len(eulas.checked) == 2
