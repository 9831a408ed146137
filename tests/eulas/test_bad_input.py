"""An invalid request is refused by field and rule, and nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping

import grpc
import pytest
from google.protobuf.message import Message

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_pb2
from ridehail_clients import ServiceError
from tests.eulas.harness import Harness, agreement
from tests.eulas.users import BATCH_CHECK, CHECK, LIST, PASSENGER_LIST, PASSENGER_SAVE, SAVE, User, messages_of
from tests.support.calls import Metadata, call, failure_of

# What an id is: see tests/chassis/test_text_rules.py. Here: which fields are ids.
BAD_IDS = ["", "x" * 129, "eula\n"]
GOOD_IDS = ["x", "x" * 128, "\u044b" * 128, "\U0001f695", "a b", "%", "%s", "'", '"', "\\", "../x", "{},NULL", "<b>"]
BAD_FILTERS = ["", "Unknown", "unknown ", "signed,accepted", "0", "\0"]
BAD_STATUSES = ["", "unknown", "Accepted", "accepted ", "rejected\n", "1"]

GOOD_CHECK: dict[str, object] = {"eula_types": ["rules"]}

Bad = tuple[str, Message, str]


def list_of(**fields: object) -> api.ListEulasRequest:
    return api.ListEulasRequest(**{"yandex_uid": "uid", "filter": "all", "zone_name": "haifa", **fields})  # type: ignore[arg-type]


def own_list_of(**fields: object) -> api.PassengerEulasServiceListEulasRequest:
    return api.PassengerEulasServiceListEulasRequest(**{"filter": "all", "zone_name": "haifa", **fields})  # type: ignore[arg-type]


def save_of(*batch: tuple[str, str], uid: str = "uid") -> api.SaveEulasRequest:
    return api.SaveEulasRequest(yandex_uid=uid, eulas=messages_of(batch))


def own_save_of(*batch: tuple[str, str]) -> api.PassengerEulasServiceSaveEulasRequest:
    return api.PassengerEulasServiceSaveEulasRequest(eulas=messages_of(batch))


def check_of(**fields: object) -> api.CheckEulasRequest:
    return api.CheckEulasRequest(**{"yandex_uid": "uid", **fields})  # type: ignore[arg-type]


def batch_of(*checks: Mapping[str, object]) -> api.BatchCheckEulasRequest:
    return api.BatchCheckEulasRequest(
        checks=[eulas_pb2.EulaCheck(**{"yandex_uid": "uid", **fields}) for fields in checks]  # type: ignore[arg-type]
    )


def requests_with_id(bad: str) -> list[Bad]:
    """Returns every request that has an id, with this one in it, and the path of the field."""
    good = ("rules", "accepted")
    return [
        (LIST, list_of(yandex_uid=bad), "yandex_uid"),
        (LIST, list_of(zone_name=bad), "zone_name"),
        (LIST, list_of(country=bad), "country"),
        (LIST, list_of(tariffs=["good", bad]), "tariffs[1]"),
        (SAVE, save_of(good, uid=bad), "yandex_uid"),
        (SAVE, save_of(good, (bad, "accepted")), "eulas[1].eula_id"),
        (CHECK, check_of(yandex_uid=bad, eula_ids=["rules"]), "yandex_uid"),
        (CHECK, check_of(eula_ids=["rules", bad]), "eula_ids[1]"),
        (CHECK, check_of(eula_types=[bad]), "eula_types[0]"),
        (BATCH_CHECK, batch_of(GOOD_CHECK, {"yandex_uid": bad, "eula_ids": ["rules"]}), "checks[1].yandex_uid"),
        (BATCH_CHECK, batch_of({"eula_ids": ["rules", bad]}), "checks[0].eula_ids[1]"),
        (BATCH_CHECK, batch_of(GOOD_CHECK, {"eula_types": [bad]}), "checks[1].eula_types[0]"),
        (BATCH_CHECK, batch_of({"eula_types": ["rules"], "zone_name": bad}), "checks[0].zone_name"),
        (PASSENGER_LIST, own_list_of(zone_name=bad), "zone_name"),
        (PASSENGER_LIST, own_list_of(country=bad), "country"),
        (PASSENGER_LIST, own_list_of(tariffs=[bad]), "tariffs[0]"),
        (PASSENGER_SAVE, own_save_of((bad, "accepted"), good), "eulas[0].eula_id"),
    ]


def metadata_of(user: User, path: str) -> Metadata:
    return user.own_metadata() if path in {PASSENGER_LIST, PASSENGER_SAVE} else user.service_metadata


async def failure(user: User, path: str, request: Message | bytes) -> ServiceError:
    return await failure_of(user.channel, path, request, metadata=metadata_of(user, path))


async def refusal(user: User, path: str, request: Message | bytes) -> list[tuple[str, str]]:
    """Makes a call that must be refused for its content, and returns the broken rules by field."""
    error = await failure(user, path, request)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"), error
    assert dict(error.metadata) == {}
    assert error.retry_after is None
    assert all(violation.description for violation in error.violations)
    return [(violation.field, violation.reason) for violation in error.violations]


async def assert_nothing_is_stored(harness: Harness) -> None:
    for table in ("users", "decisions_log"):
        assert await harness.suite.rows(f"SELECT * FROM eulas.{table}") == []


# --- ids


async def test_an_invalid_id_is_refused_in_every_field(harness: Harness, user: User) -> None:
    for path, request, field in (one for bad in BAD_IDS for one in requests_with_id(bad)):
        assert await refusal(user, path, request) == [(field, "string.id")]
    await assert_nothing_is_stored(harness)


async def test_any_other_printable_id_is_accepted_and_is_a_plain_id(harness: Harness, user: User) -> None:
    await harness.configure([agreement(good, good, tariffs=[good]) for good in GOOD_IDS])
    for good in GOOD_IDS:
        await call(user.channel, SAVE, save_of((good, "rejected"), uid=good), metadata=user.service_metadata)
        user_with_id = harness.user(good)
        assert await user_with_id.listed("signed", good, country=good, tariffs=[good]) == [(good, "rejected")]
        assert await user_with_id.check(good) == [(good, good, "rejected")]
        assert await user_with_id.check_types(good) == [(good, good, "rejected")]
    stored = await harness.suite.rows("SELECT yandex_uid, eula_id FROM eulas.users")
    assert set(stored) == {(good, good) for good in GOOD_IDS}


# --- closed sets


async def test_an_unknown_filter_is_refused(user: User) -> None:
    for bad in BAD_FILTERS:
        assert await refusal(user, LIST, list_of(filter=bad)) == [("filter", "string.in")]
        assert await refusal(user, PASSENGER_LIST, own_list_of(filter=bad)) == [("filter", "string.in")]


async def test_a_status_other_than_accepted_or_rejected_is_refused(harness: Harness, user: User) -> None:
    for bad in BAD_STATUSES:
        batch = [("rules", "accepted"), ("surge_il", bad)]
        assert await refusal(user, SAVE, save_of(*batch)) == [("eulas[1].status", "string.in")]
        assert await refusal(user, PASSENGER_SAVE, own_save_of(*batch)) == [("eulas[1].status", "string.in")]
    await assert_nothing_is_stored(harness)


# --- numbers and sizes


@pytest.mark.parametrize(("number", "rule"), [(0, "repeated.min_items"), (101, "repeated.max_items")])
async def test_a_batch_has_one_to_a_hundred_decisions(harness: Harness, user: User, number: int, rule: str) -> None:
    batch = [("rules", "accepted")] * number
    assert await refusal(user, SAVE, save_of(*batch)) == [("eulas", rule)]
    assert await refusal(user, PASSENGER_SAVE, own_save_of(*batch)) == [("eulas", rule)]
    await assert_nothing_is_stored(harness)


async def test_a_batch_has_one_to_a_hundred_checks_and_at_most_2000_values(user: User) -> None:
    for number, rule in ((0, "repeated.min_items"), (101, "repeated.max_items")):
        assert await refusal(user, BATCH_CHECK, batch_of(*[GOOD_CHECK] * number)) == [("checks", rule)]
    twenty = {"eula_ids": [f"x{number}" for number in range(20)]}
    nineteen = {"eula_ids": twenty["eula_ids"][:19]}
    assert await refusal(user, BATCH_CHECK, batch_of(*[nineteen] * 99, twenty)) == [
        ("checks[99].eula_ids", "request.values")
    ]
    assert len(await user.check_many(*batch_of(*[nineteen] * 100).checks)) == 100


async def test_lists_of_more_than_a_hundred_are_refused(user: User) -> None:
    many = [f"x{number}" for number in range(101)]
    for lists in ("eula_ids", "eula_types"):
        field = f"checks[1].{lists}"
        assert await refusal(user, BATCH_CHECK, batch_of(GOOD_CHECK, {lists: many})) == [(field, "repeated.max_items")]
    assert await refusal(user, LIST, list_of(tariffs=many)) == [("tariffs", "repeated.max_items")]
    assert await refusal(user, PASSENGER_LIST, own_list_of(tariffs=many)) == [("tariffs", "repeated.max_items")]
    assert await refusal(user, CHECK, check_of(eula_ids=many)) == [("eula_ids", "repeated.max_items")]
    assert await refusal(user, CHECK, check_of(eula_types=many)) == [("eula_types", "repeated.max_items")]
    assert len(await user.check(*many[:100])) == 100
    assert len(await user.check_types(*many[:100])) == 100
    assert await user.listed("unknown", "moscow", tariffs=many[:100]) == [("rules", "unknown")]


async def test_a_locale_has_at_most_256_characters_and_any_header_is_accepted(user: User) -> None:
    assert await refusal(user, LIST, list_of(locale="x" * 257)) == [("locale", "string.max_len")]
    for languages in ("ru" + " " * 254, "ru," * 85, "*;q=1," * 42):
        assert len(await user.shown("unknown", "moscow", locale=languages)) == 2
    for languages in ("ru", "x" * 4000, "ru," * 1300, ";q=,=" * 500):
        assert len(await user.list_own("unknown", "moscow", accept_language=languages)) == 2
