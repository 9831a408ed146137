"""family down, slow or broken: the toggle is not set, and nothing is changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ridehail_clients import FamilyAdmin, FamilyMember, NeighbourUnavailable, SharingFamily, SharingInfo
from ridehail_servers.runtime.ports import reserve
from tests.route_sharing.world import World
from tests.route_sharing.world import world as running_world
from tests.support.locks import locked_table
from tests.support.waiting import until

# Of a ride that was never shared with a family: whether its rider is in one cannot be told.
UNKNOWN = SharingInfo(("phone-friend",), None, family_unknown=True)


async def share_fails(world: World) -> None:
    before = await world.tables()
    with pytest.raises(NeighbourUnavailable) as failed:
        await world.api_proxy.share_with_family(
            order_id="order", sharing_key="key", share_ride_with_family=True, yandex_uid="1", timeout=5
        )
    assert failed.value.metadata == {"neighbour": "family"}
    assert failed.value.retry_after is not None
    assert await world.tables() == before


@asynccontextmanager
async def broken(world: World) -> AsyncIterator[None]:
    async with world.suite.altered(
        "ALTER TABLE family.members RENAME TO out_of_reach", "ALTER TABLE family.out_of_reach RENAME TO members"
    ):
        yield


@asynccontextmanager
async def slow(world: World) -> AsyncIterator[None]:
    async with locked_table(world.suite.database_url, "family.members"):
        yield


@pytest.mark.parametrize("fault", [broken, slow], ids=["broken", "slow"])
async def test_on_fails_and_changes_nothing_while_family_does_not_answer_and_off_and_reads_work(
    world: World, fault: object
) -> None:
    await world.make_family(FamilyAdmin("7", "Ann"), "phone-admin", FamilyMember("1", "phone-rider"))
    await world.insert("phone-friend")
    await world.share(True, key="shared", order="other")
    await world.insert("phone-friend", key="never", order="third", rider="1")
    async with fault(world):  # type: ignore[operator]  # one of the two above
        await share_fails(world)
        assert await world.phones() == ("phone-friend",)
        assert await world.info("never") == UNKNOWN
        assert (await world.info("shared")).family == SharingFamily("Ann", 7, sharing_on=True)
        assert await world.share(False, key="shared", order="other") == "OK"
        assert await world.phones("shared") == ()

    async def family_is_told_again() -> bool:
        return (await world.info("never")).family == SharingFamily("Ann", 7, sharing_on=False)

    await until(family_is_told_again)
    assert await world.share(True) == "OK"


async def test_on_fails_and_changes_nothing_while_family_is_down(
    database_url: str, keys_dir: Path, config_dir: Path
) -> None:
    with reserve("127.0.0.1", 0) as nobody:
        running = running_world(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            services=("route-sharing",),
            addresses={"family": f"127.0.0.1:{nobody.getsockname()[1]}"},
        )
        async with running as world:
            await world.insert("phone-friend", rider="1")
            await share_fails(world)
            assert await world.share(False) == "OK"
            assert await world.info() == UNKNOWN
