"""BatchCheckEulas: CheckEulas for many."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1.eulas_pb2 import EulaCheck
from ridehail_clients import ServiceError
from tests.eulas.harness import EULAS, Harness, agreement
from tests.eulas.users import BATCH_CHECK, CHECK, User, checked
from tests.support.calls import call, failure_of
from tests.support.contract_rules import callers_of
from tests.support.log_capture import captured_logs

CHECKS = [
    EulaCheck(yandex_uid="b", eula_types=["surge", "sdc"], zone_name="haifa"),
    EulaCheck(yandex_uid="a", eula_ids=["sdc", "nothing", "surge_il", "sdc"]),
    EulaCheck(yandex_uid="nobody", eula_types=["surge", "surge"]),
    EulaCheck(yandex_uid="b", eula_types=["surge", "sdc"], zone_name="haifa"),
    EulaCheck(yandex_uid="b", eula_types=["surge"], zone_name="moscow"),
    EulaCheck(yandex_uid="a", eula_ids=["surge_il"], zone_name="moscow"),
    EulaCheck(yandex_uid="a", eula_types=["surge"], zone_name="oslo"),
]


@pytest.fixture
async def users(harness: Harness) -> User:
    """Two of whom have decided; returns one."""
    await harness.user("a").save(("surge_il", "accepted"), ("sdc", "rejected"))
    await harness.user("b").save(("surge_haifa", "rejected"), ("sdc", "accepted"))
    return harness.user("a")


async def test_each_check_has_the_result_of_a_single_call_in_the_order_of_the_request(users: User) -> None:
    results = await users.check_many(*CHECKS)

    async def single(check: EulaCheck) -> Any:
        # The same fields under the same numbers.
        request = api.CheckEulasRequest.FromString(check.SerializeToString())
        response = await call(users.channel, CHECK, request, metadata=users.service_metadata)
        return checked(api.CheckEulasResponse.FromString(response))

    assert results == [await single(check) for check in CHECKS]
    assert results[0] == [("surge_haifa", "surge", "rejected"), ("", "sdc", "unknown")]
    assert results[1] == [("sdc", "sdc", "rejected"), ("nothing", "", "unknown"), ("surge_il", "surge", "accepted")]
    assert results[2] == [("", "surge", "unknown")]


def test_a_check_of_a_batch_has_the_fields_and_rules_of_a_single_call() -> None:
    single, one = api.CheckEulasRequest.DESCRIPTOR.fields, EulaCheck.DESCRIPTOR.fields
    described = [
        [(field.name, field.number, field.type, field.GetOptions().SerializeToString()) for field in fields]
        for fields in (single, one)
    ]
    assert described[0] == described[1]
    assert callers_of(BATCH_CHECK) == callers_of(CHECK)


async def test_a_saved_decision_and_a_raised_revision_are_in_the_next_batch(harness: Harness, user: User) -> None:
    check = EulaCheck(yandex_uid=user.uid, eula_ids=["surge_il"])
    for status in ("accepted", "rejected", "accepted"):
        await user.save(("surge_il", status))
        assert await user.check_many(check, check) == [[("surge_il", "surge", status)]] * 2
    await harness.configure([{**EULAS[0], "revision": 2}])
    assert await user.check_many(check) == [[("surge_il", "surge", "unknown")]]


async def test_a_hundred_users_of_twenty_types_are_checked_at_once(harness: Harness, user: User) -> None:
    types = [f"type-{number}" for number in range(19)]
    await harness.configure([agreement(f"of {eula_type}", eula_type) for eula_type in types])
    for number in range(0, 100, 10):
        await harness.user(f"user-{number}").save(*((f"of {eula_type}", "accepted") for eula_type in types))
    results = await user.check_many(*(EulaCheck(yandex_uid=f"user-{n}", eula_types=types) for n in range(100)))
    for number, result in enumerate(results):
        decided = number % 10 == 0
        expected = [(f"of {one}", one, "accepted") if decided else ("", one, "unknown") for one in types]
        assert result == expected


async def refused(user: User, *checks: EulaCheck) -> ServiceError:
    request = api.BatchCheckEulasRequest(checks=checks)
    return await failure_of(user.channel, BATCH_CHECK, request, metadata=user.service_metadata)


async def test_each_check_without_exactly_one_list_is_named(user: User) -> None:
    both = EulaCheck(yandex_uid="a", eula_ids=["rules"], eula_types=["rules"])
    error = await refused(user, CHECKS[0], both, CHECKS[1], EulaCheck(yandex_uid="a"))
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert [(one.field, one.reason) for one in error.violations] == [
        ("checks[1].eula_ids", "eulas.one_question"),
        ("checks[3].eula_ids", "eulas.one_question"),
    ]


async def test_no_user_of_a_batch_is_logged(harness: Harness) -> None:
    user = harness.user("uid-canary-1")
    await user.save(("surge_il", "accepted"))
    good = EulaCheck(yandex_uid=user.uid, eula_ids=["surge_il"])
    with captured_logs(level="DEBUG") as logs:
        await user.check_many(good)
        await refused(user, good, EulaCheck(yandex_uid="uid-canary-2\n", eula_ids=["id-canary"]))
        await refused(user, good, EulaCheck(yandex_uid="uid-canary-3"))
        async with harness.suite.altered(
            "ALTER TABLE eulas.users RENAME TO away", "ALTER TABLE eulas.away RENAME TO users"
        ):
            error = await refused(user, good)
    assert error.code is grpc.StatusCode.INTERNAL
    assert len(logs.events("call")) >= 4
    assert "canary" not in logs.text
