"""Old rides are deleted, and what insert_order has refused or never got to."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from ridehail_clients import FamilyAdmin, FamilyMember, SharedRide, SharingInfo
from ridehail_servers.chassis.tasks import Task
from ridehail_servers.route_sharing.followed_family_store import FollowedFamilyStore
from ridehail_servers.route_sharing.store import RouteSharingStore
from ridehail_servers.route_sharing.tasks import DeleteOldRides
from tests.route_sharing.harness import Harness
from tests.support.waiting import until

KEPT = timedelta(hours=168)
INSTANT = timedelta(microseconds=1)


def purge(harness: Harness) -> Task:
    return harness.task("route-sharing", "route_sharing_purge")


async def aged(harness: Harness) -> Harness:
    """Makes a ride and a refused report that are just as old as they may be."""
    await harness.make_family(FamilyAdmin("7", "Ann"), "phone-admin", FamilyMember("1", "phone-rider"))
    await harness.insert("phone-friend", rider="1")
    await harness.share(True)
    await harness.insert("phone-friend", order="another")
    harness.clock[0] += KEPT
    return harness


@pytest.fixture
async def old(harness: Harness) -> Harness:
    return await aged(harness)


async def test_it_runs_every_hour(harness: Harness) -> None:
    assert purge(harness).schedule == "25 * * * *"


async def test_what_is_just_as_old_as_it_may_be_stays(old: Harness) -> None:
    before = await old.tables()
    assert all(before.values())
    await purge(old).run(0)
    assert await old.tables() == before


async def test_what_is_older_goes_with_all_that_belongs_to_it_and_younger_rides_stay(old: Harness) -> None:
    await old.share(True, key="young", order="young")
    old.clock[0] += INSTANT
    await purge(old).run(0)
    assert await old.info() == SharingInfo((), None)
    left = {table: {row[0] for row in rows} for table, rows in (await old.tables()).items()}
    assert left["sharing_keys"] == left["family_rides"] == {"young"}
    assert left["phone_ids"] == left["insert_order_requests"] == set()
    assert left["families"] == left["family_members"] != set()
    # The key can be taken anew.
    assert await old.share(True, order="another") == "OK"


async def test_the_configuration_says_how_old(own_harness: Harness) -> None:
    old = await aged(own_harness)
    file = old.suite.settings.config_dir / "route_sharing.yaml"
    edited = file.read_text().replace("kept_h: 168", "kept_h: 169").replace("the family account", "an account")
    file.write_text(edited)

    async def is_in_force() -> bool:
        shown = await old.watch(uid="1")
        return isinstance(shown, SharedRide) and shown.popup_title == "A ride on an account of Ann"

    await until(is_in_force)
    old.clock[0] += INSTANT
    before = await old.tables()
    await purge(old).run(0)
    assert await old.tables() == before


async def test_a_ride_that_is_being_changed_is_left_for_the_next_run(old: Harness) -> None:
    old.clock[0] += INSTANT
    async with await psycopg.AsyncConnection.connect(old.suite.database_url) as connection:
        await connection.execute("SELECT FROM order_route_sharing.sharing_keys FOR NO KEY UPDATE")
        await purge(old).run(0)
        assert len((await old.tables())["sharing_keys"]) == 1
    await purge(old).run(0)
    assert (await old.tables())["sharing_keys"] == []


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
async def test_batches_of_any_size_delete_everything_old(harness: Harness, batch: int) -> None:
    for number in range(6):
        await harness.insert("phone", key=f"key-{number}", order=f"order-{number}")
    now = harness.clock[0] + KEPT + INSTANT
    database = harness.suite.database("route-sharing")
    stores = RouteSharingStore(), FollowedFamilyStore()
    await DeleteOldRides(database, *stores, lambda: KEPT, lambda: now, batch=batch).run(0)
    assert (await harness.tables())["phone_ids"] == []
