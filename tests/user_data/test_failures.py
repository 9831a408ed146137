"""A service that fails holds up an erasure, and nothing else; saves beside an erasure wait for nobody in a circle."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest

from ridehail_servers.chassis.user_data import UserIdentifiers
from ridehail_servers.chassis.user_data_service import UserData
from ridehail_servers.eulas.decision import Decision, Status
from ridehail_servers.eulas.store import EulasStore
from ridehail_servers.eulas.user_data_store import EulasUserData
from tests.user_data.conftest import Erasing
from tests.user_data.planted import PLANTED, UID, found_in


async def test_nothing_is_erased_before_every_service_was_searched(erasing: Erasing) -> None:
    before = await found_in(erasing.suite, *PLANTED)
    await erasing.client.start_user_erasure(yandex_uid=UID, requested_by="ticket 7")
    hidden = ("ALTER TABLE protocol.users RENAME TO hidden", "ALTER TABLE protocol.hidden RENAME TO users")
    async with erasing.suite.altered(*hidden):
        job = await erasing.work()
    assert job is not None
    assert (job.state, job.waits_for, job.passes) == ("open", "services", 0)
    assert {one.service: one.failure for one in job.services if one.failure} == {"protocol": "INTERNAL"}
    assert before - {"protocol.users"} <= await found_in(erasing.suite, *PLANTED)

    job = await erasing.work()
    assert job is not None
    assert (job.state, [one.failure for one in job.services if one.failure]) == ("done", [])


async def test_a_service_that_fails_to_erase_holds_up_no_other_and_is_told_again(erasing: Erasing) -> None:
    await erasing.client.start_user_erasure(yandex_uid=UID, requested_by="ticket 7")
    refuse = """
        CREATE FUNCTION protocol.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'not now'; END $$
    """
    trigger = "CREATE TRIGGER refuse BEFORE DELETE ON protocol.users FOR EACH ROW EXECUTE FUNCTION protocol.refuse()"
    async with erasing.suite.altered(refuse, "DROP FUNCTION protocol.refuse CASCADE"):
        await erasing.suite.execute(trigger)
        job = await erasing.work()
    assert job is not None
    assert (job.state, job.waits_for) == ("open", "services")
    assert [one.service for one in job.services if one.failure] == ["protocol"]
    assert {table.partition(".")[0] for table in await found_in(erasing.suite, UID)} == {"protocol", "user_data"}

    job = await erasing.work()
    assert job is not None
    assert job.state == "done"
    assert await found_in(erasing.suite, *PLANTED) == set()


async def test_saves_and_erasures_of_one_user_do_not_wait_for_each_other_in_a_circle(erasing: Erasing) -> None:
    database, store = erasing.suite.database("eulas"), EulasStore()
    data, now = UserData(database, EulasUserData()), datetime.now(UTC)

    async def save(number: int) -> None:
        decisions = [Decision(f"eula-{number % 3 + at}", Status.ACCEPTED, 1, now, now) for at in range(3)]
        async with database.connection() as connection:
            await store.save(connection, UID, decisions, "passenger")

    for _ in range(5):
        await asyncio.gather(
            *(save(number) for number in range(4)), *(data.erase(UserIdentifiers(UID)) for _ in range(3))
        )
    while await data.erase(UserIdentifiers(UID)):
        pass
    assert {table for table in await found_in(erasing.suite, UID) if table.startswith("eulas")} == set()


_OWN = "SELECT pseudonym FROM eulas.user_keys WHERE yandex_uid = log.yandex_uid"


@pytest.mark.parametrize(
    "change",
    [
        "yandex_uid = NULL, pseudonym = gen_random_uuid()",
        f"yandex_uid = NULL, pseudonym = ({_OWN.replace('=', '<>')})",
        "yandex_uid = NULL, pseudonym = NULL",
        "yandex_uid = 'somebody else'",
        f"yandex_uid = NULL, status = 'accepted', pseudonym = ({_OWN})",
    ],
)
async def test_an_account_in_the_log_gives_way_to_its_own_pseudonym_only(erasing: Erasing, change: str) -> None:
    before = await erasing.suite.rows("SELECT * FROM eulas.decisions_log ORDER BY 1")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await erasing.suite.execute(f"UPDATE eulas.decisions_log AS log SET {change} WHERE yandex_uid = '{UID}'")
    assert await erasing.suite.rows("SELECT * FROM eulas.decisions_log ORDER BY 1") == before
