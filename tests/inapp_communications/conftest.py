"""inapp_communications and route_sharing, served for real, with a proxy between them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from ridehail_clients import AsyncInappCommunicationsClient
from ridehail_servers.inapp_communications.definition import DEFINITION as INAPP
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.service_controls import ServiceControls, controlled
from tests.support.suite_in_process import SuiteInProcess, suite_in_process


@dataclass
class Harness:
    """What runs, and what a test needs to call it.

    Attributes:
        controls: Of inapp_communications.
    """

    suite: SuiteInProcess
    faults: FaultProxy
    channel: grpc.aio.Channel
    client: AsyncInappCommunicationsClient
    controls: ServiceControls

    @property
    def banners(self) -> Path:
        """The file that configures them."""
        return self.controls.config_dir / "inapp.yaml"

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


@pytest.fixture(scope="module")
async def module_harness(module_database_url: str, keys_dir: Path, module_config_dir: Path) -> AsyncIterator[Harness]:
    running: list[SuiteInProcess] = []
    inapp, controls = controlled(INAPP, module_config_dir)
    async with (
        fault_proxy(lambda: running[0].address) as faults,
        suite_in_process(
            database_url=module_database_url,
            keys_dir=keys_dir,
            config_dir=module_config_dir,
            services=(inapp, "route-sharing"),
            addresses={"route-sharing": faults.address},
        ) as suite,
        suite.channel() as channel,
        AsyncInappCommunicationsClient(suite.address, ticket=suite.ticket("api-proxy"), attempt_timeout=30) as client,
    ):
        running.append(suite)
        yield Harness(suite, faults, channel, client, controls)


@pytest.fixture
async def harness(module_harness: Harness) -> Harness:
    """No ride is known, and nobody fails."""
    await module_harness.suite.empty_tables()
    module_harness.faults.clear()
    module_harness.controls.close_breakers()
    return module_harness
