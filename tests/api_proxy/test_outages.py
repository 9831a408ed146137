"""However long eulas takes, the rider waits no longer than the configuration says."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import grpc
import pytest

from tests.api_proxy.proxy import Proxy, configure, failures, requires, serving
from tests.api_proxy.scripted_eulas import (
    ScriptedEulas,
    at_first,
    failing,
    hanging,
    knowing,
    later,
    saying,
    scripted_eulas,
)
from tests.support.waiting import until

# What a busy machine may add: all of this runs in one process, which shares two processors with other tests.
SLACK_S = 0.6
TARIFFS = {"econom": requires("surge", "unknown", "rejected"), "econom_surge": requires("surge", "accepted")}
UNAVAILABLE = {"econom_surge": "eulas_unavailable"}
ACCEPTED = knowing({"surge": "accepted"})
UP = {"econom": "eula_accepted"}


@contextmanager
def nobody() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def mute() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize(("timeout_ms", "retries"), [(300, 0), (150, 1), (100, 4)])
async def test_the_rider_waits_for_every_attempt_and_not_longer(
    eulas: ScriptedEulas, keys_dir: Path, config_dir: Path, timeout_ms: int, retries: int
) -> None:
    eulas.on_check, eulas.on_list = ACCEPTED, hanging
    configure(config_dir, TARIFFS, timeout_ms=timeout_ms, retries=retries)
    bound = timeout_ms / 1000 * (retries + 1)
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        await proxy.route_stats("free")  # the first call of a server is slow
        await until(lambda: _is_up(proxy))  # and so is its first of eulas
        eulas.checked.clear()
        eulas.on_check = hanging
        answer = await proxy.route_stats(*TARIFFS)
        started = time.monotonic()
        assert await proxy.need_acceptance() is None
        seconds = time.monotonic() - started
    assert (answer.shown, answer.hidden) == (["econom"], UNAVAILABLE)
    assert bound * 0.95 <= answer.seconds < bound + SLACK_S
    assert bound * 0.95 <= seconds < bound + SLACK_S
    # On a busy machine an attempt may be over before the server sees it.
    assert 1 <= len(eulas.checked) <= retries + 1
    assert 1 <= len(eulas.listed) <= retries + 1


@pytest.mark.parametrize("down", [nobody, mute])
async def test_an_eulas_that_is_down_costs_no_more_than_that(
    keys_dir: Path, config_dir: Path, down: Callable[[], AbstractContextManager[str]]
) -> None:
    configure(config_dir, TARIFFS, timeout_ms=100, retries=1)
    with down() as address:
        async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=address) as proxy:
            await proxy.route_stats("free")
            for _ in range(5):
                answer = await proxy.route_stats(*TARIFFS)
                assert (answer.shown, answer.hidden) == (["econom"], UNAVAILABLE)
                assert answer.seconds < 0.2 + SLACK_S
                assert await proxy.need_acceptance() is None


@pytest.mark.parametrize("seconds", [0.3, 1.0])
async def test_the_rider_is_answered_within_the_calls_own_time_whatever_the_configuration_says(
    eulas: ScriptedEulas, keys_dir: Path, config_dir: Path, seconds: float
) -> None:
    eulas.on_check = eulas.on_list = hanging
    configure(config_dir, TARIFFS, timeout_ms=10_000, retries=10)
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        assert (await proxy.route_stats(*TARIFFS, timeout=seconds)).hidden == UNAVAILABLE
        assert await proxy.need_acceptance(timeout=seconds) is None


async def test_without_a_deadline_of_the_caller_the_contracts_is_kept(
    eulas: ScriptedEulas, keys_dir: Path, config_dir: Path
) -> None:
    eulas.on_check = hanging
    configure(config_dir, TARIFFS, timeout_ms=10_000, retries=10)
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        answer = await proxy.route_stats(*TARIFFS)
    assert answer.hidden == UNAVAILABLE
    assert answer.seconds < 2


@pytest.mark.parametrize(
    "first",
    [[failing(grpc.StatusCode.UNAVAILABLE)], [hanging], [failing(grpc.StatusCode.UNAVAILABLE), hanging]],
    ids=["unavailable", "hanging", "both"],
)
async def test_a_repeat_that_succeeds_counts(
    eulas: ScriptedEulas, keys_dir: Path, config_dir: Path, first: list[Callable[..., object]]
) -> None:
    eulas.on_check = at_first(first, ACCEPTED)  # type: ignore[arg-type]
    configure(config_dir, TARIFFS, timeout_ms=500, retries=2)
    before = failures()
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        answer = await proxy.route_stats(*TARIFFS)
    assert (answer.shown, answer.hidden) == (["econom_surge"], UP)
    assert len(eulas.checked) == len(first) + 1
    assert failures() == before


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.PERMISSION_DENIED])
async def test_what_a_repeat_would_not_mend_is_not_repeated(
    eulas: ScriptedEulas, keys_dir: Path, config_dir: Path, code: grpc.StatusCode
) -> None:
    eulas.on_check = failing(code)
    configure(config_dir, TARIFFS, retries=10)
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        assert (await proxy.route_stats(*TARIFFS)).hidden == UNAVAILABLE
    assert len(eulas.checked) == 1


async def test_eulas_is_used_again_as_soon_as_it_is_back(keys_dir: Path, config_dir: Path) -> None:
    configure(config_dir, TARIFFS, timeout_ms=500, retries=1)
    with nobody() as address:
        port = int(address.rpartition(":")[2])
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=address) as proxy:
        for _ in range(2):
            assert (await proxy.route_stats(*TARIFFS)).hidden == UNAVAILABLE
            async with scripted_eulas(port=port) as eulas:
                eulas.on_check = ACCEPTED
                await until(lambda: _is_up(proxy), within=15)


async def _is_up(proxy: Proxy) -> bool:
    return (await proxy.route_stats(*TARIFFS)).hidden == UP


async def test_riders_wait_beside_each_other(eulas: ScriptedEulas, keys_dir: Path, config_dir: Path) -> None:
    """A hundred riders at once wait as long as one."""
    eulas.on_check = hanging
    configure(config_dir, TARIFFS, timeout_ms=300, retries=1)
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        await proxy.route_stats("free")
        answers = await asyncio.gather(*(proxy.route_stats(*TARIFFS, uid=f"uid-{n}") for n in range(100)))
    assert all(answer.hidden == UNAVAILABLE for answer in answers)
    assert max(answer.seconds for answer in answers) < 0.6 + 2 * SLACK_S


async def test_an_answer_that_comes_too_late_is_nobodys(eulas: ScriptedEulas, keys_dir: Path, config_dir: Path) -> None:
    """The rider of a late answer gets none, and the next rider gets their own."""
    configure(config_dir, TARIFFS, timeout_ms=500, retries=0)
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        eulas.on_check = later(0.7, ACCEPTED)
        assert (await proxy.route_stats(*TARIFFS, uid="first")).hidden == UNAVAILABLE
        eulas.on_check = knowing({"surge": "rejected"})
        assert (await proxy.route_stats(*TARIFFS, uid="second")).hidden == {"econom_surge": "eula_rejected"}


async def test_a_rider_who_hangs_up_is_no_failure_of_eulas(
    eulas: ScriptedEulas, keys_dir: Path, config_dir: Path
) -> None:
    eulas.on_check = hanging
    configure(config_dir, TARIFFS, timeout_ms=1000, retries=1)
    before = failures()
    async with serving(keys_dir=keys_dir, config_dir=config_dir, eulas=eulas.address) as proxy:
        asking = asyncio.create_task(proxy.route_stats(*TARIFFS))
        await until(lambda: eulas.checked)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        eulas.on_check = saying(b"")
    assert failures() == before
    assert len(eulas.checked) == 1
