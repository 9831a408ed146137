"""After an erasure no table of any service knows the user; the receipt says what was done, and nothing personal."""

from __future__ import annotations

from dataclasses import asdict

import grpc
import pytest

from ridehail_clients import ServiceError, UserDataJob, UserDataJobNotFound
from ridehail_servers.user_data.receipt import pseudonym
from tests.support.log_capture import LogCapture
from tests.user_data.conftest import Erasing
from tests.user_data.planted import (
    NAME,
    ORDERS,
    OTHER_PHONE,
    OTHER_UID,
    PHONE,
    PLANTED,
    UID,
    everything,
    found_in,
)


async def erased(erasing: Erasing) -> UserDataJob:
    await erasing.client.start_user_erasure(yandex_uid=UID, requested_by="ticket 7")
    job = await erasing.work()
    assert job is not None
    assert job.state == "done", job
    return job


async def test_no_table_of_any_service_knows_an_erased_user(erasing: Erasing, log: LogCapture) -> None:
    assert len(await found_in(erasing.suite, *PLANTED)) >= 15
    await erased(erasing)

    assert await found_in(erasing.suite, *PLANTED) == set()
    assert not any(value in str(log.lines) for value in (UID, PHONE, NAME))


async def test_the_data_of_others_stays(erasing: Erasing) -> None:
    kept = {
        table: text.count(OTHER_UID) + text.count(OTHER_PHONE)
        for table, text in (await everything(erasing.suite)).items()
    }
    await erased(erasing)

    now = await everything(erasing.suite)
    assert {table: text.count(OTHER_UID) + text.count(OTHER_PHONE) for table, text in now.items()} == kept
    requests = "SELECT phone_ids FROM order_route_sharing.insert_order_requests WHERE order_id = 'of-others'"
    assert (["kept"],) in await erasing.suite.rows(requests)


async def test_the_receipt_says_what_was_found_and_erased_and_for_whom_by_a_pseudonym(erasing: Erasing) -> None:
    started = await erasing.client.start_user_erasure(yandex_uid=UID, requested_by="ticket 7")
    job = await erasing.work()
    assert job is not None

    services = {service.service: service for service in job.services}
    assert {one.kind: one.records for one in services["eulas"].erased} == {
        "decision": 1,
        "named_log_entry": 1,
        "pseudonym": 1,
    }
    assert services["order-core"].found == services["order-core"].erased
    assert all(service.erased and service.processed_at and not service.failure for service in job.services)
    assert job.pseudonym == pseudonym(started.receipt_key, UID)
    assert (job.requested_by, job.passes, job.waits_for) == ("ticket 7", 1, "")
    assert not any(value in str(asdict(job)) for value in PLANTED)
    assert await found_in(erasing.suite, started.receipt_key) == set()


async def test_the_log_of_decisions_keeps_the_proof_without_the_person(erasing: Erasing) -> None:
    columns = "decision_id, eula_id, status, revision, valid_till, decided_at, source"
    entries = f"SELECT {columns} FROM eulas.decisions_log ORDER BY 1"
    before = await erasing.suite.rows(entries)
    assert len(await erasing.suite.rows("SELECT FROM eulas.decisions WHERE yandex_uid = %s", UID)) == 2
    await erased(erasing)

    assert await erasing.suite.rows(entries) == before
    assert await erasing.suite.rows("SELECT FROM eulas.decisions WHERE yandex_uid = %s", UID) == []
    assert len(await erasing.suite.rows("SELECT FROM eulas.decisions WHERE yandex_uid = %s", OTHER_UID)) == 2
    # Entries of one user still belong together.
    assert len(await erasing.suite.rows("SELECT DISTINCT pseudonym FROM eulas.decisions_log")) == 3


async def test_an_erasure_can_be_repeated(erasing: Erasing) -> None:
    first = await erased(erasing)
    second = await erased(erasing)

    assert first.job_id != second.job_id
    assert second.passes == 0
    assert not any(service.found or service.erased for service in second.services)


async def test_two_requests_for_one_user_are_one_job(erasing: Erasing) -> None:
    first = await erasing.client.start_user_erasure(yandex_uid=UID, requested_by="ticket 7")
    second = await erasing.client.start_user_erasure(yandex_uid=UID, phone_ids=["late-phone"], requested_by="ticket 8")

    assert first == second
    assert await found_in(erasing.suite, "late-phone") == {"user_data.subjects"}


def set_status(status: str) -> str:
    return f"UPDATE order_core.orders SET document = jsonb_set(document, '{{order,status}}', '\"{status}\"')"


@pytest.mark.parametrize("reopened", ["driving", None])
async def test_nothing_is_erased_while_an_order_is_under_way(erasing: Erasing, reopened: str | None) -> None:
    if reopened:
        await erasing.suite.execute(f"{set_status('driving')} WHERE order_id = %s", ORDERS[0])
    else:
        await erasing.suite.execute("UPDATE eats_orders.orders SET finished = false WHERE yandex_uid = %s", UID)
    before = {table: text for table, text in (await everything(erasing.suite)).items() if "user_data" not in table}
    await erasing.client.start_user_erasure(yandex_uid=UID, requested_by="ticket 7")
    job = await erasing.work()

    assert job is not None
    assert (job.state, job.waits_for, job.passes) == ("open", "active_orders", 0)
    after = await everything(erasing.suite)
    assert {table: after[table] for table in before} == before

    await erasing.suite.execute(set_status("complete"))
    await erasing.suite.execute("UPDATE eats_orders.orders SET finished = true")
    await erasing.work()
    assert await found_in(erasing.suite, *PLANTED) == set()


async def test_what_is_written_while_an_erasure_goes_on_is_erased_as_well(erasing: Erasing) -> None:
    """The job ends only with a search that finds nothing."""
    await erasing.suite.execute(
        f"""
        CREATE FUNCTION user_data.write_again() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO user_state.personal_states VALUES ('{UID}', 1, 'vip', '{{}}', now());
            RETURN NULL;
        END $$
        """
    )
    # All have erased, and the app writes once more.
    await erasing.suite.execute(
        "CREATE TRIGGER write_again AFTER UPDATE ON user_data.jobs FOR EACH ROW"
        " WHEN (NEW.waits_for = 'settling' AND NEW.passes < 3 AND OLD.waits_for IS NULL)"
        " EXECUTE FUNCTION user_data.write_again()"
    )
    try:
        job = await erased(erasing)
    finally:
        await erasing.suite.execute("DROP FUNCTION user_data.write_again CASCADE")
    assert job.passes == 3
    assert await found_in(erasing.suite, *PLANTED) == set()
    states = next(service for service in job.services if service.service == "user-state")
    assert [one.records for one in states.erased] == [3]


async def test_an_unknown_job_is_not_found(erasing: Erasing) -> None:
    with pytest.raises(UserDataJobNotFound) as refused:
        await erasing.client.get_user_data_job(job_id="none")
    assert refused.value.metadata == {"job_id": "none"}


@pytest.mark.parametrize(
    ("arguments", "field", "rule"),
    [
        ({"yandex_uid": "", "requested_by": "me"}, "yandex_uid", "string.id"),
        ({"yandex_uid": "a\nb", "requested_by": "me"}, "yandex_uid", "string.id"),
        ({"yandex_uid": "a", "requested_by": ""}, "requested_by", "string.id"),
        ({"yandex_uid": "a", "requested_by": "me", "phone_ids": ["p"] * 21}, "phone_ids", "repeated.max_items"),
        ({"yandex_uid": "a", "requested_by": "me", "phone_ids": [""]}, "phone_ids[0]", "string.id"),
    ],
)
async def test_a_bad_request_starts_nothing(
    erasing: Erasing, arguments: dict[str, object], field: str, rule: str
) -> None:
    for start in (erasing.client.start_user_erasure, erasing.client.start_user_export):
        with pytest.raises(ServiceError) as refused:
            await start(**arguments)  # type: ignore[arg-type]  # bad on purpose
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert [(one.field, one.reason) for one in refused.value.violations] == [(field, rule)]
    assert await erasing.suite.rows("SELECT FROM user_data.jobs") == []
