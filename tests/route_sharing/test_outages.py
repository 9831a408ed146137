"""family down, slow or broken: the toggle is not set, and nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ridehail_clients import FamilyAdmin, FamilyMember, NeighbourUnavailable, SharingFamily, SharingInfo
from ridehail_servers.runtime.ports import reserve
from tests.route_sharing.harness import Harness
from tests.route_sharing.harness import harness as running_harness
from tests.support.locks import locked_table
from tests.support.waiting import until

# Of a ride that was never shared with a family: whether its rider is in one is unknown.
UNKNOWN = SharingInfo(("phone-friend",), None, family_unknown=True)


async def share_fails(harness: Harness) -> None:
    before = await harness.tables()
    with pytest.raises(NeighbourUnavailable) as failed:
        await harness.api_proxy.share_with_family(
            order_id="order", sharing_key="key", share_ride_with_family=True, yandex_uid="1", timeout=5
        )
    assert failed.value.metadata == {"neighbour": "family"}
    assert failed.value.retry_after is not None
    assert await harness.tables() == before


@asynccontextmanager
async def broken(harness: Harness) -> AsyncIterator[None]:
    async with harness.suite.altered(
        "ALTER TABLE family.members RENAME TO out_of_reach", "ALTER TABLE family.out_of_reach RENAME TO members"
    ):
        yield


@asynccontextmanager
async def slow(harness: Harness) -> AsyncIterator[None]:
    async with locked_table(harness.suite.database_url, "family.members"):
        yield


@pytest.mark.parametrize("fault", [broken, slow], ids=["broken", "slow"])
async def test_on_fails_and_changes_nothing_while_family_is_unavailable_and_off_and_reads_work(
    harness: Harness, fault: object
) -> None:
    await harness.make_family(FamilyAdmin("7", "Ann"), "phone-admin", FamilyMember("1", "phone-rider"))
    await harness.insert("phone-friend")
    await harness.share(True, key="shared", order="other")
    await harness.insert("phone-friend", key="never", order="third", rider="1")
    async with fault(harness):  # type: ignore[operator]  # one of the two above
        await share_fails(harness)
        assert await harness.phones() == ("phone-friend",)
        assert await harness.info("never") == UNKNOWN
        assert (await harness.info("shared")).family == SharingFamily("Ann", 7, sharing_on=True)
        assert await harness.share(False, key="shared", order="other") == "OK"
        assert await harness.phones("shared") == ()

    async def family_is_known_again() -> bool:
        return (await harness.info("never")).family == SharingFamily("Ann", 7, sharing_on=False)

    await until(family_is_known_again)
    assert await harness.share(True) == "OK"


async def test_on_fails_and_changes_nothing_while_family_is_down(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    with reserve("127.0.0.1", 0) as nobody:
        running = running_harness(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            services=("route-sharing",),
            addresses={"family": f"127.0.0.1:{nobody.getsockname()[1]}"},
        )
        async with running as harness:
            await harness.insert("phone-friend", rider="1")
            await share_fails(harness)
            assert await harness.share(False) == "OK"
            assert await harness.info() == UNKNOWN
