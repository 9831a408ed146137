"""What a change stores, whom it asks again, and what an import keeps: rules without a database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.eulas.admin.agreement_rules import Agreement, ServedPlaces, checked_agreement
from ridehail_servers.eulas.admin.errors import EulaAlreadyExists, EulaVersionConflict
from ridehail_servers.eulas.admin.eula_change import (
    POSITION_STEP,
    AgreementChange,
    Author,
    ChangeKind,
    StoredAgreement,
    asks_again,
    changed_fields,
    creation,
    file_import,
    update,
    withdrawal,
)
from ridehail_servers.eulas.errors import EulaNotFound
from ridehail_servers.eulas.eula_catalogue import Eula
from ridehail_servers.eulas.served_locales import missing_texts

pytestmark = pytest.mark.unit

FEW = settings(max_examples=40)

NOW = datetime(2026, 11, 20, tzinfo=UTC)
SERVED = ServedPlaces({"haifa"}, ["en"])
VERSIONS = st.integers(1, 6)
LANGUAGES = st.sampled_from(["en", "he", "ru", "pt-br"])
KINDS = st.sampled_from(list(ChangeKind))


@st.composite
def eulas(draw: st.DrawFn, eula_id: str = "eula") -> Eula:
    title = draw(st.dictionaries(LANGUAGES, st.text("ab", max_size=2), max_size=3)) | {"en": "E"}
    return Eula(
        eula_id=eula_id,
        type=draw(st.sampled_from(["a", "b"])),
        revision=draw(st.integers(1, 3)),
        ttl_s=draw(st.integers(1, 3)),
        rejectable=draw(st.booleans()),
        title=title,
        text=draw(st.dictionaries(LANGUAGES, st.text("ab", max_size=2), max_size=3)),
    )


@st.composite
def agreements(draw: st.DrawFn, eula_id: str = "eula") -> Agreement:
    return Agreement(draw(eulas(eula_id)), draw(st.integers(0, 2)))


@st.composite
def stored_agreements(draw: st.DrawFn, eula_id: str = "eula") -> StoredAgreement:
    version = draw(VERSIONS)
    return StoredAgreement(
        Agreement(draw(eulas(eula_id)), draw(st.integers(1, 2))),
        version=version,
        base_version=draw(st.integers(0, version - 1)),
        asks_since=draw(st.integers(0, version)),
        kind=draw(KINDS),
        author=Author("admin", "anna"),
        changed_at=NOW,
    )


def applied(stored: StoredAgreement, change: AgreementChange | None) -> StoredAgreement:
    """Returns what is there after a change."""
    if change is None:
        return stored
    version = stored.version + 1
    return StoredAgreement(
        change.agreement,
        version=version,
        base_version=change.base_version,
        asks_since=version if change.asks_again else stored.asks_since,
        kind=change.kind,
        author=stored.author,
        changed_at=NOW,
    )


@FEW
@given(stored_agreements(), agreements(), VERSIONS)
def test_an_update_stores_what_it_says_or_is_refused(stored: StoredAgreement, new: Agreement, expected: int) -> None:
    try:
        after = applied(stored, update(stored, new, expected))
    except EulaVersionConflict:
        assert expected != stored.version
        return
    except InvalidRequest:
        assert new.eula.type != stored.agreement.eula.type or new.eula.revision < stored.agreement.eula.revision
        return
    assert after.agreement == Agreement(new.eula, new.position or stored.agreement.position)
    assert not after.is_withdrawn


@FEW
@given(stored_agreements(), agreements())
def test_a_repeat_of_an_update_changes_nothing_more(stored: StoredAgreement, new: Agreement) -> None:
    try:
        change = update(stored, new, stored.version)
    except InvalidRequest:
        return
    assert update(applied(stored, change), new, stored.version) is None


@FEW
@given(stored_agreements(), agreements())
def test_an_update_asks_again_exactly_if_ttl_or_revision_changes(stored: StoredAgreement, new: Agreement) -> None:
    try:
        change = update(stored, new)
    except InvalidRequest:
        return
    old = stored.agreement.eula
    differs = (old.ttl_s, old.revision) != (new.eula.ttl_s, new.eula.revision)
    assert asks_again(old, new.eula) == differs
    assert (change is not None and change.asks_again) == differs


@FEW
@given(stored_agreements(), agreements())
def test_changed_fields_name_all_that_differs_and_nothing_else(stored: StoredAgreement, new: Agreement) -> None:
    names = changed_fields(stored.agreement, new)
    old = stored.agreement
    taken = {name: getattr(new.eula, name) for name in names if name != "position"}
    assert old.eula.model_copy(update=taken) == new.eula
    assert ("position" in names) == (new.position not in (0, old.position))
    assert all(getattr(old.eula, name) != getattr(new.eula, name) for name in taken)


@FEW
@given(stored_agreements(), VERSIONS)
def test_a_withdrawal_needs_the_version_and_bears_a_repeat(stored: StoredAgreement, expected: int) -> None:
    try:
        after = applied(stored, withdrawal(stored, "eula", expected))
    except EulaVersionConflict:
        assert expected != stored.version
        return
    assert after.is_withdrawn
    assert after.agreement == stored.agreement
    assert withdrawal(after, "eula", expected) is None


@FEW
@given(st.none() | stored_agreements(), agreements(), st.integers(0, 100))
def test_only_what_is_not_there_is_created(stored: StoredAgreement | None, new: Agreement, last: int) -> None:
    try:
        change = creation(stored, new, last)
    except EulaAlreadyExists:
        assert stored is not None
        return
    if stored is None:
        position = new.position or last + POSITION_STEP
        assert change == AgreementChange(ChangeKind.CREATED, Agreement(new.eula, position), 0)
    else:
        assert (change, stored.kind, stored.agreement.eula) == (None, ChangeKind.CREATED, new.eula)


def test_what_is_not_there_cannot_be_changed() -> None:
    new = Agreement(Eula(eula_id="x", type="t", revision=1, ttl_s=1, rejectable=True, title={"en": "T"}), 0)
    with pytest.raises(EulaNotFound):
        update(None, new, 1)
    with pytest.raises(EulaNotFound):
        withdrawal(None, "x", 1)


IDS = ["a", "b", "c"]
FILES = st.lists(st.sampled_from(IDS), unique=True).flatmap(lambda ids: st.tuples(*map(eulas, ids)))
STORED = st.lists(st.sampled_from(IDS), unique=True).flatmap(lambda ids: st.tuples(*map(stored_agreements, ids)))


@FEW
@given(FILES, STORED, st.lists(LANGUAGES, max_size=2))
def test_an_import_copies_what_nobody_has_changed_and_a_repeat_of_it_nothing(
    file: tuple[Eula, ...], there: tuple[StoredAgreement, ...], locales: list[str]
) -> None:
    stored = {one.agreement.eula.eula_id: one for one in there}
    found = file_import(file, stored, locales)
    named = [*found.created, *found.updated, *found.unchanged, *found.kept, *found.incomplete]
    assert sorted(named) == sorted(eula.eula_id for eula in file)
    assert {change.kind for change in found.changes} <= {ChangeKind.IMPORTED}
    assert not any(change.asks_again for change in found.changes)
    for change in found.changes:
        eula = change.agreement.eula
        assert not any(missing_texts(eula, locales))
        known = stored.get(eula.eula_id)
        if known is not None:
            assert known.kind is ChangeKind.IMPORTED
            assert eula.revision >= known.agreement.eula.revision
            assert eula.type == known.agreement.eula.type
    for change in found.changes:
        before = stored.get(change.agreement.eula.eula_id)
        base = 0 if before is None else before.version
        stored[change.agreement.eula.eula_id] = StoredAgreement(
            change.agreement, base + 1, base, 0, change.kind, Author("admin", "anna"), NOW
        )
    again = file_import(file, stored, locales)
    assert again.changes == []
    assert sorted(again.unchanged) == sorted([*found.created, *found.updated, *found.unchanged])
    assert again.kept == found.kept


@FEW
@given(eulas(), st.lists(LANGUAGES, unique=True))
def test_an_agreement_is_complete_if_each_served_language_has_its_words(eula: Eula, locales: list[str]) -> None:
    missing = set(missing_texts(eula, locales))
    has_text = any(eula.text.values())
    for locale in locales:
        assert (("title", locale) in missing) == (not eula.title.get(locale))
        assert (("text", locale) in missing) == (has_text and not eula.text.get(locale))
    assert {locale for _field, locale in missing} <= set(locales)


@FEW
@given(st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3), st.text(max_size=6), st.text(max_size=4))
def test_whatever_is_written_is_taken_as_it_is_or_refused_by_its_field(
    title: dict[str, str], url: str, zone: str
) -> None:
    entry: dict[str, Any] = {
        "eula_id": "x",
        "type": "t",
        "revision": 1,
        "ttl_s": 1,
        "rejectable": True,
        "zones": (zone,),
        "title": title,
        "url": url,
    }
    fields: list[str] = []
    try:
        eula, _position = checked_agreement(entry, 0, SERVED)
    except InvalidRequest as refused:
        fields = [one.field for one in refused.violations]
    else:
        assert (eula.zones, eula.url) == ((zone,), url)
        assert eula.title == {language.lower(): text for language, text in title.items()}
    assert all(field.startswith(("agreement.title", "agreement.url", "agreement.zones[0]")) for field in fields)
