"""inapp_communications and route_sharing, served for real, with a server between them that can fail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from ridehail_clients import AsyncInappCommunicationsClient
from tests.support.neighbours_between import Between, between
from tests.support.suite_in_process import SuiteInProcess, suite_in_process


@dataclass
class World:
    """What runs, and what a test needs to ask it."""

    suite: SuiteInProcess
    between: Between
    channel: grpc.aio.Channel
    client: AsyncInappCommunicationsClient

    async def share(self, sharing_key: str, *, on: bool) -> None:
        """Has route_sharing's tables say that a ride is shared with a family, or not any more."""
        await self.suite.execute(
            "INSERT INTO order_route_sharing.sharing_keys (sharing_key, order_id, created_at) VALUES (%s, %s, now())"
            " ON CONFLICT DO NOTHING",
            sharing_key,
            f"order of {sharing_key}",
        )
        await self.suite.execute(
            "INSERT INTO order_route_sharing.family_rides (sharing_key, admin_uid, admin_name, sharing_on, updated_at)"
            " VALUES (%s, 4000, 'Ann', %s, now())"
            " ON CONFLICT (sharing_key) DO UPDATE SET sharing_on = EXCLUDED.sharing_on",
            sharing_key,
            on,
        )


@pytest.fixture
async def world(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[World]:
    running: list[SuiteInProcess] = []
    async with (
        between(lambda: running[0].address) as faults,
        suite_in_process(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            services=("inapp-communications", "route-sharing"),
            addresses={"route-sharing": faults.address},
        ) as suite,
        suite.channel() as channel,
        AsyncInappCommunicationsClient(suite.address, ticket=suite.ticket("api-proxy"), attempt_timeout=30) as client,
    ):
        running.append(suite)
        yield World(suite, faults, channel, client)
