"""Two phones of one rider, while everything around them fails now and then: in the end both show what is true."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import psycopg
import pytest
from psycopg import conninfo

from ridehail_servers import resources
from tests.e2e.order_polling_harness import RETRY_S, App, Costs, PollingHarness, polling_harness
from tests.e2e.order_providers import LIMITS, OrderProviders, Reporter
from tests.support.waiting import LIMIT_S

STEPS = 40


@pytest.fixture(scope="module")
async def harness(
    postgres_url: str, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PollingHarness]:
    folder = tmp_path_factory.mktemp("polling")
    config_dir = Path(shutil.copytree(resources.folder("config"), folder / "config"))
    name = f"order_polling_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_of_tests".encode())
    url = conninfo.make_conninfo(postgres_url, dbname=name)
    async with polling_harness(database_url=url, keys_dir=keys_dir, config_dir=config_dir, folder=folder) as running:
        yield running
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_fails_both_phones_show_the_true_state_in_the_end(harness: PollingHarness, seed: int) -> None:
    random, costs = Random(seed), Costs()
    providers = harness.providers(f"rider-{uuid.uuid4().hex[:8]}", random)
    reporter = Reporter(harness.reporters, providers, random)
    asked_before = harness.provider_calls
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(harness.app(providers, random, costs)) for _ in range(2)]

        await live(harness, providers, reporter, apps, random)
        await come_to_rest(harness, reporter, apps)

        listed = await providers.listed()
        assert listed == providers.truth
        for app in apps:
            assert app.shown == listed
            assert all(card.is_complete and not card.outdated for card in app.poller.cards)
            assert {service: one.can_make_more_orders for service, one in app.poller.allowed_changes.items()} == {
                service: sum(key[0] == service for key in listed) < limit for service, limit in LIMITS.items()
            }
            assert len(app.counted) == app.invalid

    asked = harness.provider_calls - asked_before
    print(  # noqa: T201  # what polling saves
        f"seed {seed}: {costs.polls} polls; parts fetched {costs.fetches} instead of {costs.full_fetches},"
        f" services asked {asked} times instead of {costs.polls * len(LIMITS)}"
    )
    assert costs.polls > STEPS
    assert costs.fetches < costs.full_fetches
    assert asked < costs.polls * len(LIMITS)


async def live(
    harness: PollingHarness, providers: OrderProviders, reporter: Reporter, apps: list[App], random: Random
) -> None:
    """Starts, changes and ends orders while apps poll, services fail and order_state is restarted."""
    restart_at = random.randrange(STEPS // 3, STEPS - 5)
    for app in apps:
        app.failing = 0.15
    for step in range(STEPS):
        if step == restart_at:
            await harness.front.stop()
        if step == restart_at + 2:
            await harness.front.start()
        if random.random() < 0.2:
            harness.break_something(random)
        if random.random() < 0.5:
            await providers.change_something()
        await asyncio.gather(reporter.report_some(), *(app.step() for app in apps))
        harness.pass_time(random.uniform(0, RETRY_S))


async def come_to_rest(harness: PollingHarness, reporter: Reporter, apps: list[App]) -> None:
    """Heals everything, and polls until every app shows a confirmed state."""
    harness.heal()
    await reporter.report_all()
    async with asyncio.timeout(LIMIT_S):
        for app in apps:
            app.failing = 0.0
            quiet = 0
            while quiet < 2:
                harness.pass_time(RETRY_S)
                before, fetches = app.poller.cards, app.costs.fetches
                await app.step()
                cards = app.poller.cards
                is_quiet = app.poller.is_started and cards == before and fetches == app.costs.fetches
                quiet = quiet + 1 if is_quiet and not any(card.update_status == "stale" for card in cards) else 0
