"""CheckEulas: the status of agreements, or of types of them."""

from __future__ import annotations

import pytest

from ridehail.eulas.v1 import eulas_api_pb2 as api
from tests.eulas.harness import DAY, EULAS, ZONES, Harness, agreement
from tests.eulas.users import CHECK, User
from tests.support.calls import call, failure_of


async def test_agreements_are_returned_in_the_order_of_the_request_each_once(user: User) -> None:
    await user.save(("surge_il", "accepted"), ("sdc", "rejected"))
    assert await user.check("sdc", "nothing", "surge_il", "rules", "sdc", "surge_il") == [
        ("sdc", "sdc", "rejected"),
        ("nothing", "", "unknown"),
        ("surge_il", "surge", "accepted"),
        ("rules", "rules", "unknown"),
    ]


async def test_types_are_returned_in_the_order_of_the_request_each_once(user: User) -> None:
    await user.save(("rules", "accepted"))
    assert await user.check_types("surge", "nothing", "rules", "surge") == [
        ("", "surge", "unknown"),
        ("", "nothing", "unknown"),
        ("rules", "rules", "accepted"),
    ]


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        ([], ("", "t", "unknown")),
        ([("b", "rejected")], ("b", "t", "rejected")),
        ([("b", "rejected"), ("a", "rejected")], ("a", "t", "rejected")),
        ([("a", "rejected"), ("c", "accepted")], ("c", "t", "accepted")),
        ([("c", "accepted"), ("b", "accepted"), ("a", "rejected")], ("b", "t", "accepted")),
        ([("d", "accepted")], ("", "t", "unknown")),
    ],
    ids=str,
)
async def test_a_type_is_accepted_if_one_of_it_is_else_rejected_if_one_is(
    harness: Harness, user: User, batch: list[tuple[str, str]], expected: tuple[str, str, str]
) -> None:
    await harness.configure([*(agreement(eula_id, "t") for eula_id in "abc"), agreement("d", "another")])
    if batch:
        await user.save(*batch)
    assert await user.check_types("t") == [expected]


async def test_an_agreement_whose_decision_no_longer_counts_is_unknown(harness: Harness, user: User) -> None:
    await user.save(("surge_il", "accepted"), ("sdc", "rejected"))
    await harness.configure([EULAS[0], {**EULAS[2], "revision": 2}])
    assert await user.check("surge_il", "sdc") == [("surge_il", "surge", "accepted"), ("sdc", "sdc", "unknown")]
    assert await user.check_types("surge", "sdc") == [("surge_il", "surge", "accepted"), ("", "sdc", "unknown")]
    harness.pass_time(DAY)
    assert await user.check("surge_il") == [("surge_il", "surge", "unknown")]
    assert await user.check_types("surge") == [("", "surge", "unknown")]


async def test_a_decision_on_an_agreement_that_left_the_configuration_decides_no_type(
    harness: Harness, user: User
) -> None:
    await user.save(("surge_il", "accepted"))
    await harness.configure(EULAS[1:])
    assert await user.check("surge_il") == [("surge_il", "", "unknown")]
    assert await user.check_types("surge") == [("", "surge", "unknown")]


async def test_without_a_zone_all_agreements_of_a_type_count(user: User) -> None:
    await user.save(("surge_haifa", "accepted"))
    assert await user.check_types("surge") == [("surge_haifa", "surge", "accepted")]


@pytest.mark.parametrize(
    ("zone_name", "expected"),
    [
        ("moscow", ("seat_ru", "seat", "rejected")),
        ("tel_aviv", ("seat_il", "seat", "accepted")),
        ("haifa", ("seat_il", "seat", "accepted")),
        ("minsk", ("", "seat", "unknown")),  # configured, but no agreement of the type applies there
        ("oslo", ("", "seat", "unknown")),  # not configured
        (None, ("seat_il", "seat", "accepted")),
    ],
)
async def test_an_agreement_decides_for_its_type_only_where_it_applies(
    harness: Harness, user: User, zone_name: str | None, expected: tuple[str, str, str]
) -> None:
    await harness.configure(
        [agreement("seat_il", "seat", countries=["isr"]), agreement("seat_ru", "seat", countries=["rus"])],
        {**ZONES, "minsk": "blr"},
    )
    await user.save(("seat_il", "accepted"), ("seat_ru", "rejected"))
    assert await user.check_types("seat", zone_name=zone_name) == [expected]


async def test_zone_and_country_of_an_agreement_both_have_to_match(harness: Harness, user: User) -> None:
    await harness.configure([agreement("both", "seat", countries=["isr"], zones=["haifa", "moscow"])])
    await user.save(("both", "accepted"))
    found = {zone: (await user.check_types("seat", zone_name=zone))[0][2] for zone in (*ZONES, "oslo")}
    assert found == {"tel_aviv": "unknown", "haifa": "accepted", "moscow": "unknown", "oslo": "unknown"}


async def test_the_zone_does_not_change_the_status_of_an_agreement_requested_by_id(user: User) -> None:
    await user.save(("surge_haifa", "accepted"))
    request = api.CheckEulasRequest(yandex_uid=user.uid, eula_ids=["surge_haifa"], zone_name="moscow")
    response = api.CheckEulasResponse.FromString(
        await call(user.channel, CHECK, request, metadata=user.service_metadata)
    )
    assert [one.status for one in response.eulas] == ["accepted"]


@pytest.mark.parametrize(
    "request_",
    [
        api.CheckEulasRequest(yandex_uid="uid"),
        api.CheckEulasRequest(yandex_uid="uid", eula_ids=["rules"], eula_types=["rules"]),
    ],
    ids=["neither", "both"],
)
async def test_a_check_requires_either_ids_or_types(user: User, request_: api.CheckEulasRequest) -> None:
    error = await failure_of(user.channel, CHECK, request_, metadata=user.service_metadata)
    assert error.reason == "INVALID_REQUEST"
    assert [violation.field for violation in error.violations] == ["eula_ids"]
