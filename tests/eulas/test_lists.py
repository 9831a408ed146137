"""ListEulas: what a user has to see, and what the user has decided."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import grpc
import pytest

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_pb2
from ridehail_servers.chassis.timestamps import from_timestamp
from tests.eulas.harness import DAY, EULAS, MICROSECOND, T0, Harness, agreement
from tests.eulas.users import LIST, PASSENGER_LIST, User, statuses
from tests.support.calls import failure_of

UNKNOWN = "unknown"
HOUR = timedelta(hours=1)


async def ids(user: User, wanted: str = UNKNOWN, zone_name: str | None = "tel_aviv", **fields: Any) -> list[str]:
    return [eula.eula_id for eula in await user.shown(wanted, zone_name, **fields)]


# --- what concerns the user


@pytest.mark.parametrize(
    ("zone_name", "expected"),
    [
        ("tel_aviv", ["surge_il", "rules"]),
        ("haifa", ["surge_il", "surge_haifa", "rules"]),
        ("moscow", ["sdc", "rules"]),
        ("nowhere", ["rules"]),
        ("Haifa", ["rules"]),
    ],
)
async def test_agreements_of_the_zone_and_of_its_country_are_unknown(
    user: User, zone_name: str, expected: list[str]
) -> None:
    assert await ids(user, zone_name=zone_name) == expected


@pytest.mark.parametrize(
    ("zone_name", "country", "expected"),
    [
        ("moscow", "isr", ["surge_il", "sdc", "rules"]),
        ("nowhere", "isr", ["surge_il", "rules"]),
        ("haifa", "rus", ["surge_haifa", "rules"]),
        ("haifa", "ISR", ["surge_haifa", "rules"]),
    ],
)
async def test_a_country_that_is_given_replaces_that_of_the_zone(
    user: User, zone_name: str, country: str, expected: list[str]
) -> None:
    assert await ids(user, zone_name=zone_name, country=country) == expected


@pytest.mark.parametrize(
    ("tariffs", "expected"),
    [
        ([], ["sdc", "rules"]),
        (["self_driving"], ["sdc", "rules"]),
        (["econom", "self_driving"], ["sdc", "rules"]),
        (["econom"], ["rules"]),
    ],
)
async def test_tariffs_omit_agreements_of_other_tariffs_only(
    user: User, tariffs: list[str], expected: list[str]
) -> None:
    assert await ids(user, zone_name="moscow", tariffs=tariffs) == expected


async def test_country_zone_and_tariff_must_all_match(harness: Harness, user: User) -> None:
    await harness.configure([agreement("e", "t", countries=["isr"], zones=["haifa"], tariffs=["econom"])])
    assert await ids(user, zone_name="haifa", tariffs=["econom"]) == ["e"]
    assert await ids(user, zone_name="tel_aviv", tariffs=["econom"]) == []
    assert await ids(user, zone_name="haifa", tariffs=["other"]) == []
    assert await ids(user, zone_name="haifa", country="rus", tariffs=["econom"]) == []


# --- what the user has decided


async def test_every_filter_lists_its_own_statuses(user: User) -> None:
    await user.save(("surge_il", "accepted"), ("surge_haifa", "rejected"))
    assert await user.listed("unknown", "haifa") == [("rules", "unknown")]
    assert await user.listed("accepted") == [("surge_il", "accepted")]
    assert await user.listed("rejected") == [("surge_haifa", "rejected")]
    assert await user.listed("signed") == [("surge_il", "accepted"), ("surge_haifa", "rejected")]
    assert await user.listed("all", "haifa") == [
        ("surge_il", "accepted"),
        ("surge_haifa", "rejected"),
        ("rules", "unknown"),
    ]


async def test_decided_agreements_are_listed_in_any_zone(user: User) -> None:
    await user.save(("surge_haifa", "accepted"), ("sdc", "rejected"))
    for zone_name in (None, "tel_aviv", "nowhere"):
        for tariffs in ([], ["econom"]):
            assert await ids(user, "signed", zone_name, tariffs=tariffs) == ["surge_haifa", "sdc"]
    assert await ids(user, "all", "tel_aviv") == ["surge_il", "surge_haifa", "sdc", "rules"]


async def test_a_decision_is_of_one_user_only(harness: Harness, user: User) -> None:
    await user.save(("rules", "accepted"))
    for uid in ("4000000002", "400000000", "40000000011", " 4000000001"):
        assert await harness.user(uid).listed("signed") == []


async def test_a_saved_decision_is_in_the_next_list(user: User) -> None:
    for _ in range(20):
        for status in ("accepted", "rejected"):
            await user.save(("surge_il", status))
            assert await ids(user) == ["rules"]
            assert await user.listed("signed") == [("surge_il", status)]


# --- when it counts no more


async def test_a_decision_counts_until_it_expires(harness: Harness, user: User) -> None:
    await user.save(("surge_il", "accepted"))
    harness.pass_time(DAY - MICROSECOND)
    assert await user.listed("signed") == [("surge_il", "accepted")]
    harness.pass_time(MICROSECOND)
    for wanted in ("signed", "accepted", "rejected"):
        assert await user.listed(wanted) == []
    assert await ids(user) == ["surge_il", "rules"]
    assert await user.listed("all", "tel_aviv") == [("surge_il", "unknown"), ("rules", "unknown")]


async def test_each_decision_has_the_ttl_of_its_agreement_when_it_was_saved(harness: Harness, user: User) -> None:
    await user.save(("surge_il", "accepted"), ("rules", "accepted"))
    await harness.configure([{**eula, "ttl_s": 1} for eula in EULAS])
    harness.pass_time(HOUR)
    assert await user.listed("signed") == [("surge_il", "accepted")]


async def test_a_raised_revision_is_unknown_until_a_new_decision(harness: Harness, user: User) -> None:
    await user.save(("surge_il", "rejected"))
    await harness.configure([{**EULAS[0], "revision": 2}, *EULAS[1:]])
    assert await user.listed("all", "tel_aviv") == [("surge_il", "unknown"), ("rules", "unknown")]
    assert await user.listed("signed") == []
    await user.save(("surge_il", "accepted"))
    assert await user.listed("signed") == [("surge_il", "accepted")]


async def test_decisions_count_again_if_a_revision_is_taken_back(harness: Harness, user: User) -> None:
    await harness.configure([{**EULAS[0], "revision": 3}])
    await user.save(("surge_il", "accepted"))
    await harness.configure([{**EULAS[0], "revision": 2}])
    assert await user.listed("signed") == [("surge_il", "accepted")]


async def test_an_agreement_that_left_the_configuration_stays_listed_by_id_and_status(
    harness: Harness, user: User
) -> None:
    await user.save(("sdc", "rejected"), ("surge_il", "accepted"), ("rules", "accepted"))
    await harness.configure([EULAS[3]])
    assert await user.listed("signed") == [("rules", "accepted"), ("sdc", "rejected"), ("surge_il", "accepted")]
    gone = (await user.shown("rejected"))[0]
    assert (gone.type, gone.title, gone.text, gone.url, gone.rejectable) == ("", "", "", "", False)
    assert from_timestamp(gone.valid_till) == T0 + DAY
    harness.pass_time(DAY)
    assert await user.listed("all", "moscow") == [("rules", "unknown")]


async def test_an_agreement_that_moved_to_another_zone_keeps_its_decisions(harness: Harness, user: User) -> None:
    await user.save(("surge_haifa", "accepted"))
    await harness.configure([{**EULAS[1], "zones": ["moscow"]}])
    assert await user.listed("signed") == [("surge_haifa", "accepted")]
    assert await harness.user("another").listed("unknown", "moscow") == [("surge_haifa", "unknown")]


# --- how it looks


async def test_an_unknown_agreement_is_listed_with_all_fields(user: User) -> None:
    shown = (await user.shown("unknown", "tel_aviv"))[0]
    assert shown == eulas_pb2.Eula(
        eula_id="surge_il",
        type="surge",
        status="unknown",
        title="surge_il in English",
        text="Text",
        url="https://example.com/surge",
        rejectable=True,
    )


async def test_a_decision_is_listed_with_its_timestamps(harness: Harness, user: User) -> None:
    await user.save(("rules", "accepted"))
    harness.pass_time(HOUR / 2)
    shown = (await user.shown("accepted"))[0]
    assert from_timestamp(shown.updated_at) == T0
    assert from_timestamp(shown.valid_till) == T0 + HOUR
    assert not shown.rejectable


async def test_titles_are_in_the_language_of_the_request(user: User) -> None:
    async def title(**fields: str) -> str:
        return (await user.shown("unknown", "moscow", **fields))[0].title

    async def own_title(accept_language: str) -> str:
        return (await user.list_own("unknown", "moscow", accept_language=accept_language))[0].title

    for languages, expected in (
        ("ru-RU, en;q=0.5", "Машины"),
        ("he, ru;q=0.1", "Машины"),
        ("he", "Cars"),
        ("", "Cars"),
    ):
        assert await title(locale=languages) == expected
        assert await own_title(languages) == expected


async def test_texts_of_a_reload_are_in_the_next_list(harness: Harness, user: User) -> None:
    await user.save(("rules", "accepted"))
    for word in ("old", "new"):
        edited = {
            "title": {"en": f"{word} title"},
            "text": {"en": f"{word} text"},
            "url": f"https://example.com/{word}",
        }
        await harness.configure([{**EULAS[0], **edited, "rejectable": word == "new"}, {**EULAS[3], **edited}])
        for shown in (*await user.shown("all", "haifa"), *await user.list_own("all", "haifa")):
            assert (shown.title, shown.text, shown.url) == (
                f"{word} title",
                f"{word} text",
                f"https://example.com/{word}",
            )
            assert shown.rejectable == (word == "new" and shown.eula_id == "surge_il")


async def test_a_passenger_lists_what_services_list(user: User) -> None:
    await user.save(("surge_il", "accepted"))
    for wanted in ("unknown", "accepted", "rejected", "signed", "all"):
        assert list(await user.list_own(wanted, "tel_aviv")) == list(await user.shown(wanted, "tel_aviv"))
    own = await user.list_own("unknown", "moscow", country="isr", tariffs=["econom"])
    assert statuses(own) == await user.listed("unknown", "moscow", country="isr", tariffs=["econom"])


async def test_a_user_without_decisions_has_signed_nothing(user: User) -> None:
    for wanted in ("accepted", "rejected", "signed"):
        assert await user.listed(wanted) == []


# --- refused


@pytest.mark.parametrize("wanted", ["unknown", "all"])
async def test_unknown_agreements_are_not_listed_without_a_zone(user: User, wanted: str) -> None:
    service = api.ListEulasRequest(yandex_uid=user.uid, filter=wanted, country="isr", tariffs=["econom"])
    passenger = api.PassengerEulasServiceListEulasRequest(filter=wanted, country="isr", tariffs=["econom"])
    for error in (
        await failure_of(user.channel, LIST, service, metadata=user.service_metadata),
        await failure_of(user.channel, PASSENGER_LIST, passenger, metadata=user.own_metadata()),
    ):
        assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
        assert [violation.field for violation in error.violations] == ["zone_name"]
