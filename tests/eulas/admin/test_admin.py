"""An admin creates, changes and withdraws agreements, and sees who did what."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

from ridehail_clients import (
    Agreement,
    AsyncAdminEulasClient,
    CallerNotAllowed,
    EulaAlreadyExists,
    EulaNotFound,
    EulaVersionConflict,
    InvalidRequest,
)
from ridehail_servers.chassis.database import Connection, Database
from tests.eulas.admin.admin_harness import ACTOR, IMPORTED, AdminHarness, new_agreement, ticket_of
from tests.eulas.harness import DAY, EULAS, T0
from tests.support.log_capture import LogCapture
from tests.support.waiting import until


async def shown(admin: AdminHarness, zone: str = "haifa") -> list[tuple[str, str]]:
    """Returns id and title of what a rider has to see."""
    return [(one.eula_id, one.title) for one in await admin.at.user("rider").shown("unknown", zone)]


async def test_an_agreement_that_is_created_is_shown_behind_the_others(admin: AdminHarness) -> None:
    created = await admin.admin.create_eula(agreement=new_agreement(), actor=ACTOR)
    await admin.in_force(created.version)
    assert (created.version, created.asks_since, created.withdrawn) == (IMPORTED + 1, 0, False)
    assert (created.source, created.actor, created.changed_at) == ("admin", ACTOR, T0)
    assert created.agreement.position == (IMPORTED + 1) * 10
    assert (await shown(admin))[-1] == ("fresh", "fresh")


async def test_position_decides_where_it_is_shown(admin: AdminHarness) -> None:
    first = await shown(admin)
    created = await admin.admin.create_eula(agreement=new_agreement(position=1), actor=ACTOR)
    await admin.in_force(created.version)
    assert await shown(admin) == [("fresh", "fresh"), *first]
    await admin.update("fresh", position=1_000_000)
    assert await shown(admin) == [*first, ("fresh", "fresh")]


async def test_every_field_is_kept_and_shown(admin: AdminHarness) -> None:
    whole = Agreement(
        eula_id="whole",
        type="t",
        revision=7,
        ttl_s=60,
        rejectable=True,
        countries=("isr", "rus"),
        zones=("haifa",),
        tariffs=("child",),
        title={"en": "E", "pt-br": "P"},
        text={"en": "line\nline"},
        url="https://example.com/x?y=1",
        position=5,
    )
    created = await admin.admin.create_eula(agreement=whole, actor=ACTOR)
    assert created.agreement == whole
    assert (await admin.record("whole")).agreement == whole
    await admin.in_force(created.version)
    (seen, *_) = await admin.at.user("rider").shown("unknown", "haifa", tariffs=["child"], locale="pt-BR")
    assert (seen.eula_id, seen.title, seen.text, seen.url) == ("whole", "P", "line\nline", whole.url)


async def test_an_update_is_shown_and_an_outdated_one_refused(admin: AdminHarness) -> None:
    before = await admin.record("rules")
    changed = await admin.update("rules", title={"en": "House rules"})
    assert ("rules", "House rules") in await shown(admin)
    with pytest.raises(EulaVersionConflict) as refused:
        await admin.admin.update_eula(
            agreement=replace(before.agreement, url="https://example.com"),
            expected_version=before.version,
            actor=ACTOR,
        )
    assert refused.value.metadata == {"eula_id": "rules", "current_version": str(changed.version)}
    assert await admin.record("rules") == changed


async def test_of_two_at_once_one_update_wins_and_the_other_is_refused(admin: AdminHarness) -> None:
    before = await admin.record("rules")
    results = await asyncio.gather(
        *(
            admin.admin.update_eula(
                agreement=replace(before.agreement, title={"en": f"by {number}"}),
                expected_version=before.version,
                actor=f"admin-{number}",
            )
            for number in range(5)
        ),
        return_exceptions=True,
    )
    assert sorted(type(one).__name__ for one in results) == ["AgreementRecord", *["EulaVersionConflict"] * 4]
    history = await admin.admin.list_eula_changes(eula_id="rules")
    assert [one.kind for one in history] == ["updated", "imported"]


async def test_a_withdrawn_agreement_is_shown_only_to_those_who_have_decided(admin: AdminHarness) -> None:
    rider = admin.at.user("rider")
    await rider.save(("rules", "accepted"))
    version = (await admin.record("rules")).version
    withdrawn = await admin.admin.withdraw_eula(eula_id="rules", expected_version=version, actor=ACTOR)
    await admin.in_force(withdrawn.version)
    assert withdrawn.withdrawn
    assert await rider.listed("accepted") == [("rules", "accepted")]
    assert await rider.check("rules") == [("rules", "", "unknown")]
    assert "rules" not in dict(await shown(admin))
    assert (await rider.refused(("rules", "accepted"))).reason == "EULA_NOT_FOUND"
    listed = {one.agreement.eula_id for one in await admin.admin.list_eula_records()}
    assert listed == {one["eula_id"] for one in EULAS} - {"rules"} | {"anchor"}


async def test_an_update_brings_a_withdrawn_agreement_back(admin: AdminHarness) -> None:
    rider = admin.at.user("rider")
    await rider.save(("rules", "accepted"))
    record = await admin.record("rules")
    withdrawn = await admin.admin.withdraw_eula(eula_id="rules", expected_version=record.version, actor=ACTOR)
    await admin.update("rules", title={"en": "again"})
    assert await rider.check("rules") == [("rules", "rules", "accepted")]
    history = await admin.admin.list_eula_changes(eula_id="rules")
    assert [(one.kind, one.base_version) for one in history] == [
        ("restored", withdrawn.version),
        ("withdrawn", record.version),
        ("imported", 0),
    ]


async def test_repeats_of_calls_that_went_through_return_the_same_and_store_nothing(admin: AdminHarness) -> None:
    fresh = new_agreement()
    created = [await admin.admin.create_eula(agreement=fresh, actor=ACTOR) for _ in range(2)]
    changed = replace(fresh, url="https://example.com")
    updated = [
        await admin.admin.update_eula(agreement=changed, expected_version=created[0].version, actor=ACTOR)
        for _ in range(2)
    ]
    withdrawn = [
        await admin.admin.withdraw_eula(eula_id="fresh", expected_version=updated[0].version, actor=ACTOR)
        for _ in range(2)
    ]
    for first, second in (created, updated, withdrawn):
        assert first == second
    assert [one.kind for one in await admin.admin.list_eula_changes(eula_id="fresh")] == [
        "withdrawn",
        "updated",
        "created",
    ]


async def test_an_update_that_changes_nothing_is_no_change(admin: AdminHarness) -> None:
    record = await admin.record("surge_il")
    assert await admin.update("surge_il") == record
    assert len(await admin.admin.list_eula_changes()) == IMPORTED


async def test_history_says_who_did_what_and_when(admin: AdminHarness) -> None:
    admin.at.pass_time(DAY)
    await admin.update("sdc", ttl_s=5)
    await admin.admin.create_eula(agreement=new_agreement(), actor="олег")
    created, updated, *imported = await admin.admin.list_eula_changes()
    assert (created.kind, created.eula_id, created.actor, created.source) == ("created", "fresh", "олег", "admin")
    assert (updated.kind, updated.actor, updated.asks_again, updated.changed_at) == ("updated", ACTOR, True, T0 + DAY)
    assert updated.agreement.ttl_s == 5
    assert [one.version for one in imported] == list(range(IMPORTED, 0, -1))
    assert {one.kind for one in imported} == {"imported"}
    page = await admin.admin.list_eula_changes(before_version=created.version, page_size=2)
    assert [one.version for one in page] == [updated.version, IMPORTED]


async def test_the_history_cannot_be_changed(admin: AdminHarness) -> None:
    database = admin.at.suite.database("eulas")
    for statement in ("UPDATE {} SET actor = 'x'", "DELETE FROM {}", "TRUNCATE {}"):
        with pytest.raises(Exception, match=r"history of agreements is never changed|permission denied"):
            async with database.connection() as connection:
                await connection.execute(statement.format("eulas.agreement_changes").encode())


async def test_lists_have_pages(admin: AdminHarness) -> None:
    ids = sorted([one["eula_id"] for one in EULAS] + ["anchor"])
    found: list[str] = []
    while page := await admin.admin.list_eula_records(after_eula_id=found[-1] if found else "", page_size=2):
        found += [one.agreement.eula_id for one in page]
    assert found == ids


async def test_an_unknown_agreement_is_not_found(admin: AdminHarness) -> None:
    for call in (
        admin.admin.update_eula(agreement=new_agreement(), expected_version=1, actor=ACTOR),
        admin.admin.withdraw_eula(eula_id="fresh", expected_version=1, actor=ACTOR),
        admin.admin.preview_eula_update(agreement=new_agreement()),
    ):
        with pytest.raises(EulaNotFound) as refused:
            await call
        assert refused.value.metadata == {"eula_id": "fresh"}


@pytest.mark.parametrize("changes", [{"url": "https://example.com"}, {"position": 3}])
async def test_another_agreement_cannot_take_an_id(admin: AdminHarness, changes: dict[str, Any]) -> None:
    record = await admin.record("rules")
    await admin.admin.withdraw_eula(eula_id="rules", expected_version=record.version, actor=ACTOR)
    with pytest.raises(EulaAlreadyExists):
        await admin.admin.create_eula(agreement=replace(record.agreement, **changes), actor=ACTOR)


async def test_only_the_admin_may_call(admin: AdminHarness) -> None:
    for source in ("api-proxy", "tc", "gateway"):
        async with AsyncAdminEulasClient(admin.at.suite.address, ticket=ticket_of(admin.at, source)) as stranger:
            with pytest.raises(CallerNotAllowed):
                await stranger.list_eula_records()


# --- bad input

FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "no id": ({"eula_id": ""}, "agreement.eula_id"),
    "an id of two lines": ({"eula_id": "a\nb"}, "agreement.eula_id"),
    "no type": ({"type": ""}, "agreement.type"),
    "revision 0": ({"revision": 0}, "agreement.revision"),
    "ttl 0": ({"ttl_s": 0}, "agreement.ttl_s"),
    "a ttl beyond the calendar": ({"ttl_s": 31_557_600_001}, "agreement.ttl_s"),
    "an empty zone": ({"zones": ("haifa", "")}, "agreement.zones[1]"),
    "a zone that is not configured": ({"zones": ("haifa", "yafo")}, "agreement.zones[1]"),
    "an empty country": ({"countries": ("",)}, "agreement.countries[0]"),
    "201 tariffs": ({"tariffs": tuple(map(str, range(201)))}, "agreement.tariffs"),
    "no title": ({"title": {}}, "agreement.title"),
    "no English title": ({"title": {"he": "x"}}, "agreement.title"),
    "an empty English title": ({"title": {"en": ""}}, "agreement.title"),
    "a language that is none": ({"title": {"en": "x", "e-": "y"}}, 'agreement.title["e-"]'),
    "a language with a dot": ({"title": {"en": "x", "e.n": "y"}}, 'agreement.title["e.n"]'),
    "a language twice": ({"title": {"en": "x", "EN": "y"}}, "agreement.title"),
    "a long title": ({"title": {"en": "x" * 513}}, 'agreement.title["en"]'),
    "a title with a control": ({"title": {"en": "x\x07"}}, 'agreement.title["en"]'),
    "a title with an override": ({"title": {"en": "x\u202e"}}, 'agreement.title["en"]'),
    "a text that lacks English": ({"text": {"he": "x"}}, 'agreement.text["en"]'),
    "a long text": ({"text": {"en": "x" * 20_001}}, 'agreement.text["en"]'),
    "a url that is none": ({"url": "example.com"}, "agreement.url"),
    "a url of a program": ({"url": "javascript:alert(1)"}, "agreement.url"),
    "a url with a zero": ({"url": "https://example.com/\0"}, "agreement.url"),
    "a position below 0": ({"position": -1}, "agreement.position"),
    "a position above a million": ({"position": 1_000_001}, "agreement.position"),
}


@pytest.mark.parametrize(("bad", "field"), FIELDS.values(), ids=FIELDS)
async def test_a_bad_agreement_is_refused_by_its_field_and_nothing_is_stored(
    module_admin: AdminHarness, bad: dict[str, Any], field: str
) -> None:
    before = await module_admin.at.suite.rows("SELECT count(*) FROM eulas.agreement_changes")
    agreement = replace(new_agreement("anchor", type="anchor"), **bad)
    for call in (
        module_admin.admin.create_eula(agreement=agreement, actor=ACTOR),
        module_admin.admin.update_eula(agreement=agreement, expected_version=1, actor=ACTOR),
        module_admin.admin.preview_eula_update(agreement=agreement),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await call
        assert field in [one.field for one in refused.value.violations]
    assert await module_admin.at.suite.rows("SELECT count(*) FROM eulas.agreement_changes") == before


@pytest.mark.parametrize("actor", ["", "x" * 129, "a\nb"])
async def test_who_acts_has_a_name(admin: AdminHarness, actor: str) -> None:
    for call in (
        admin.admin.create_eula(agreement=new_agreement(), actor=actor),
        admin.admin.update_eula(agreement=new_agreement(), expected_version=1, actor=actor),
        admin.admin.withdraw_eula(eula_id="rules", expected_version=1, actor=actor),
        admin.admin.import_eulas(actor=actor),
    ):
        with pytest.raises(InvalidRequest) as refused:
            await call
        assert [one.field for one in refused.value.violations] == ["actor"]


@pytest.mark.parametrize(
    ("changes", "field"), [({"type": "other"}, "agreement.type"), ({"revision": 2}, "agreement.revision")]
)
async def test_an_agreement_stays_what_users_have_decided_on(
    admin: AdminHarness, changes: dict[str, Any], field: str
) -> None:
    await admin.update("rules", revision=3)
    record = await admin.record("rules")
    with pytest.raises(InvalidRequest) as refused:
        await admin.update("rules", **changes)
    assert [one.field for one in refused.value.violations] == [field]
    assert await admin.record("rules") == record


async def test_titles_and_texts_are_required_in_every_served_language(admin: AdminHarness) -> None:
    whole = new_agreement(title={"en": "x", "he": "x"}, text={"en": "x", "HE": "x"})

    async def refused(**changes: Any) -> list[str]:
        try:
            await admin.admin.preview_eula_update(agreement=replace(whole, eula_id="rules", **changes))
        except InvalidRequest as error:
            return [one.field for one in error.violations]
        return []

    admin.edit_file(LOCALES=["en", "He"])
    try:
        await until(lambda: refused(title={"en": "x"}))
        assert await refused() == []
        assert await refused(title={"en": "x", "he-IL": "x"}) == ['agreement.title["he"]']
        assert await refused(text={"en": "x", "he": ""}) == ['agreement.text["he"]']
        assert await refused(text={"he": "x"}) == ['agreement.text["en"]']
        assert await refused(text={}) == []
        assert await refused(text={"en": ""}) == []
        # What was there before stays in force, and is counted.
        assert await until(lambda: REGISTRY.get_sample_value("ridehail_eulas_texts_missing")) == IMPORTED + 1
    finally:
        admin.edit_file()
        await until(lambda: REGISTRY.get_sample_value("ridehail_eulas_texts_missing") == 0)


async def test_nothing_personal_is_logged(admin: AdminHarness, log: LogCapture) -> None:
    canary = "canary-of-an-admin"
    created = await admin.admin.create_eula(agreement=new_agreement(title={"en": "canary-of-a-title"}), actor=canary)
    await admin.in_force(created.version)
    with pytest.raises(InvalidRequest):
        await admin.admin.create_eula(agreement=new_agreement(title={"en": "canary-of-a-title\x07"}), actor=canary)
    assert "canary" not in log.text


async def test_changes_are_counted_by_what_they_do(admin: AdminHarness) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("ridehail_eulas_agreement_changes_total", {"kind": "updated"}) or 0.0

    before = counted()
    await admin.update("rules", url="https://example.com")
    assert counted() == before + 1


async def test_a_riders_call_takes_one_connection_as_with_the_file(
    admin: AdminHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent, connection = list[str](), Database.connection

    def counted(database: Database) -> AbstractAsyncContextManager[Connection]:
        lent.append(database.schema)
        return connection(database)

    rider = admin.at.user("rider")
    monkeypatch.setattr(Database, "connection", counted)
    for call in (rider.check("rules"), rider.listed("all", "haifa"), rider.save(("rules", "accepted"))):
        lent.clear()
        await call
        assert lent == ["eulas"]
