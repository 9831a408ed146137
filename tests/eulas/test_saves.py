"""SaveEulas: all decisions of a batch or none are saved, the last one to arrive counts, and every one is logged."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import grpc
import psycopg
import pytest

from tests.eulas.harness import DAY, EULAS, T0, Harness
from tests.eulas.users import User
from tests.support.config_edits import edit
from tests.support.log_capture import LogCapture
from tests.support.waiting import until

# --- what is stored


async def test_a_decision_is_stored_with_revision_and_valid_till(harness: Harness, user: User) -> None:
    await harness.configure([{**EULAS[0], "revision": 7, "ttl_s": 10}])
    await user.save(("surge_il", "rejected"))
    assert await user.stored() == [("surge_il", "rejected", 7, T0 + timedelta(seconds=10))]
    times = await harness.suite.rows("SELECT updated_at, created_at FROM eulas.users")
    assert times == [(T0, T0)]


async def test_a_later_decision_keeps_the_created_at_of_the_first(harness: Harness, user: User) -> None:
    await user.save(("surge_il", "accepted"))
    harness.pass_time(DAY)
    await user.save(("surge_il", "rejected"))
    rows = await harness.suite.rows("SELECT status::text, updated_at, created_at FROM eulas.users")
    assert rows == [("rejected", T0 + DAY, T0)]


@pytest.mark.parametrize("size", [1, 4])
async def test_a_batch_is_stored_whole(user: User, size: int) -> None:
    batch = [(eula["eula_id"], "accepted") for eula in EULAS[:size]]
    await user.save_own(*batch)
    assert [(row[0], row[1]) for row in await user.stored()] == sorted(batch)
    assert await user.stored() == await user.last_logged()


async def test_a_hundred_decisions_are_saved(user: User) -> None:
    batch = [("surge_il", "accepted"), ("surge_haifa", "rejected")] * 50
    await user.save(*batch)
    assert await user.listed("signed") == [("surge_il", "accepted"), ("surge_haifa", "rejected")]


async def test_the_last_of_several_decisions_on_one_agreement_counts_and_is_logged_once(user: User) -> None:
    await user.save(("surge_il", "accepted"), ("sdc", "accepted"), ("surge_il", "rejected"), ("surge_il", "rejected"))
    assert await user.listed("signed") == [("surge_il", "rejected"), ("sdc", "accepted")]
    assert sorted(await user.log()) == [("sdc", "accepted", 1, "admin"), ("surge_il", "rejected", 1, "admin")]


async def test_every_save_is_logged_with_its_source_even_if_it_changes_nothing(harness: Harness, user: User) -> None:
    await user.save_own(("surge_il", "accepted"))
    await user.save_own(("surge_il", "accepted"))
    await user.save(("surge_il", "rejected"))
    await harness.configure([{**EULAS[0], "revision": 2}])
    await user.save_own(("surge_il", "accepted"))
    assert await user.log() == [
        ("surge_il", "accepted", 1, "passenger"),
        ("surge_il", "accepted", 1, "passenger"),
        ("surge_il", "rejected", 1, "admin"),
        ("surge_il", "accepted", 2, "passenger"),
    ]
    timestamps = await harness.suite.rows("SELECT DISTINCT decided_at, valid_till FROM eulas.decisions_log")
    assert timestamps == [(T0, T0 + DAY)]


async def test_the_later_arrival_wins_though_its_clock_is_behind(harness: Harness, user: User) -> None:
    await user.save(("surge_il", "accepted"))
    harness.pass_time(-timedelta(hours=1))
    await user.save(("surge_il", "rejected"))
    assert await user.listed("signed") == [("surge_il", "rejected")]
    assert await user.stored() == await user.last_logged()


# --- what the app requests again


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([("surge_il", "accepted")], ["routestats"]),
        ([("surge_haifa", "rejected")], []),  # of a required type, but no tariff of its zone requires it
        ([("rules", "accepted")], []),
        ([("sdc", "accepted")], []),
        ([("rules", "accepted"), ("surge_il", "rejected"), ("surge_haifa", "rejected")], ["routestats"]),
    ],
    ids=str,
)
async def test_a_refresh_is_requested_if_a_tariff_requires_the_saved_type_where_the_agreement_applies(
    user: User, batch: list[tuple[str, str]], expected: list[str]
) -> None:
    assert list(await user.save(*batch)) == expected
    assert list(await user.save_own(*batch)) == expected


async def test_a_requirement_that_is_switched_on_or_off_takes_effect(harness: Harness, user: User) -> None:
    file = harness.suite.settings.config_dir / "api_proxy.yaml"

    async def is_asked_again() -> bool:
        return list(await user.save(("sdc", "accepted"))) == ["routestats"]

    async def is_not() -> bool:
        return not await is_asked_again()

    for required, is_noticed in ((True, is_asked_again), (False, is_not)):
        requirement = {"eula_type": "sdc", "is_eula_required": required, "eula_statuses": ["accepted"]}
        edit(file, {"ROUTESTATS_EULA_REQUIREMENTS_FOR_CATEGORIES_IN_ZONE": {"moscow": {"taxi": requirement}}})
        await until(is_noticed)


# --- refused


BAD_BATCHES = {
    "unknown": ([("nothing", "accepted")], grpc.StatusCode.NOT_FOUND, "EULA_NOT_FOUND", "nothing"),
    "unknown in another case": ([("Rules", "accepted")], grpc.StatusCode.NOT_FOUND, "EULA_NOT_FOUND", "Rules"),
    "not rejectable": (
        [("rules", "rejected")],
        grpc.StatusCode.FAILED_PRECONDITION,
        "EULA_NOT_REJECTABLE",
        "rules",
    ),
    "one of many": (
        [("surge_il", "accepted"), ("sdc", "rejected"), ("nothing", "rejected")],
        grpc.StatusCode.NOT_FOUND,
        "EULA_NOT_FOUND",
        "nothing",
    ),
    "the first of several": (
        [("surge_il", "accepted"), ("rules", "rejected"), ("nothing", "rejected"), ("nil", "accepted")],
        grpc.StatusCode.FAILED_PRECONDITION,
        "EULA_NOT_REJECTABLE",
        "rules",
    ),
    "the first of several, the other way round": (
        [("nil", "accepted"), ("rules", "rejected"), ("nothing", "rejected")],
        grpc.StatusCode.NOT_FOUND,
        "EULA_NOT_FOUND",
        "nil",
    ),
    "overridden by a good one": (
        [("rules", "rejected"), ("rules", "accepted")],
        grpc.StatusCode.FAILED_PRECONDITION,
        "EULA_NOT_REJECTABLE",
        "rules",
    ),
}


@pytest.mark.parametrize(("batch", "code", "reason", "eula_id"), BAD_BATCHES.values(), ids=BAD_BATCHES.keys())
async def test_one_invalid_decision_refuses_the_batch_and_changes_nothing(
    user: User, batch: list[tuple[str, str]], code: grpc.StatusCode, reason: str, eula_id: str
) -> None:
    await user.save(("surge_il", "rejected"))
    before = (await user.stored(), await user.log())
    error = await user.refused(*batch)
    assert (error.code, error.reason, error.metadata) == (code, reason, {"eula_id": eula_id})
    assert (await user.stored(), await user.log()) == before


async def test_an_agreement_that_left_the_configuration_cannot_be_decided_on(harness: Harness, user: User) -> None:
    await user.save(("surge_il", "accepted"))
    await harness.configure([EULAS[3]])
    error = await user.refused(("surge_il", "rejected"))
    assert error.reason == "EULA_NOT_FOUND"
    assert await user.listed("signed") == [("surge_il", "accepted")]


async def test_an_agreement_of_another_zone_can_be_decided_on(user: User) -> None:
    await user.save(("sdc", "accepted"), ("surge_haifa", "accepted"))
    assert await user.listed("signed") == [("surge_haifa", "accepted"), ("sdc", "accepted")]


def never_logged(harness: Harness, eula_id: str) -> AbstractAsyncContextManager[None]:
    """Makes the log refuse decisions on an agreement, for the length of the block."""
    table = "ALTER TABLE eulas.decisions_log"
    return harness.suite.altered(
        f"{table} ADD CONSTRAINT never CHECK (eula_id <> '{eula_id}')", f"{table} DROP CONSTRAINT never"
    )


async def test_a_log_that_cannot_be_written_saves_nothing(harness: Harness, user: User) -> None:
    async with never_logged(harness, "sdc"):
        error = await user.refused(("surge_il", "accepted"), ("sdc", "accepted"))
    assert error.reason == "INTERNAL"
    assert await user.stored() == []
    assert await user.log() == []


# --- the proof


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE eulas.decisions_log SET status = 'rejected'",
        "UPDATE eulas.decisions_log SET pseudonym = gen_random_uuid()",
        "UPDATE eulas.decisions_log SET yandex_uid = 'another', pseudonym = NULL",
        "DELETE FROM eulas.decisions_log",
        "TRUNCATE eulas.decisions_log",
        "TRUNCATE eulas.users, eulas.decisions_log",
        """
        INSERT INTO eulas.decisions_log
            (decision_id, yandex_uid, eula_id, status, revision, valid_till, decided_at, source)
        SELECT 0, yandex_uid, eula_id, status, revision, valid_till, decided_at, source FROM eulas.decisions_log
        """,
    ],
)
async def test_the_log_cannot_be_changed_or_backdated(harness: Harness, user: User, statement: str) -> None:
    await user.save(("surge_il", "accepted"))
    before = await user.log()
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.GeneratedAlways)):
        await harness.suite.execute(statement)
    assert await user.log() == before
    assert len(await user.stored()) == 1


async def test_no_user_is_logged(harness: Harness, user: User, log: LogCapture) -> None:
    before = len(log.events("call"))
    await user.save(("surge_il", "accepted"))
    await user.save_own(("surge_il", "rejected"))
    await user.shown("all", "haifa")
    await user.list_own("all", "haifa")
    await user.check("surge_il")
    await user.refused(("nothing", "accepted"))
    async with never_logged(harness, "sdc"):
        assert (await user.refused(("sdc", "accepted"))).reason == "INTERNAL"
    await until(lambda: len(log.events("call")) - before == 7)  # the last line comes with the next turn of the loop
    assert len(log.events("unexpected error")) == 1
    assert user.uid not in log.text
