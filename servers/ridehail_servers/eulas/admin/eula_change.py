"""What a change of an agreement stores, and when it makes users decide again.

Source: the section on races of the design of agreements: when the time to live of an agreement changes, those who have
signed it are marked as `need_resign`. So they are when its revision is raised.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from ridehail_servers.eulas.errors import EulaNotFound
from ridehail_servers.eulas.eula_catalogue import Eula
from ridehail_servers.eulas.served_locales import missing_texts

from .agreement_rules import Agreement, check_same_agreement
from .errors import EulaAlreadyExists, EulaVersionConflict

POSITION_STEP = 10
"""Between an agreement and the next that is put behind it, so that another fits between them."""


class ChangeKind(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    WITHDRAWN = "withdrawn"
    RESTORED = "restored"
    IMPORTED = "imported"


class Author(NamedTuple):
    """Who makes a change: the calling service, as its ticket says, and the person or script that it names."""

    source: str
    actor: str


@dataclass(frozen=True, slots=True)
class StoredAgreement:
    """An agreement, as its last change left it.

    Attributes:
        agreement: What it says.
        version: The number of the last change.
        base_version: The version that the last change started from; 0 if that created it.
        asks_since: The number of the last change since which earlier decisions do not count; 0 if there was none.
        kind: What the last change did.
        author: Who made it.
        changed_at: When it was made.
    """

    agreement: Agreement
    version: int
    base_version: int
    asks_since: int
    kind: ChangeKind
    author: Author
    changed_at: datetime

    @property
    def is_withdrawn(self) -> bool:
        return self.kind is ChangeKind.WITHDRAWN

    def is_as_expected(self, version: int) -> bool:
        """Returns whether a change may start from here, or is a repeat of the one that led here."""
        return version in (self.version, self.base_version)


@dataclass(frozen=True, slots=True)
class AgreementChange:
    """A change that is to be stored.

    Attributes:
        kind: What it does.
        agreement: What the agreement says afterwards.
        base_version: The version that it starts from; 0 if the agreement is new.
        asks_again: Whether those who have decided have to decide again.
    """

    kind: ChangeKind
    agreement: Agreement
    base_version: int
    asks_again: bool = False


def creation(stored: StoredAgreement | None, new: Agreement, last_position: int) -> AgreementChange | None:
    """Returns the change that creates an agreement, or None if it is there already as this very call creates it.

    Raises:
        EulaAlreadyExists: There is another one with this id.
    """
    if stored is not None:
        placed = new.position in (0, stored.agreement.position)
        if stored.kind is ChangeKind.CREATED and placed and stored.agreement.eula == new.eula:
            return None
        raise EulaAlreadyExists(new.eula.eula_id)
    position = new.position or last_position + POSITION_STEP
    return AgreementChange(ChangeKind.CREATED, Agreement(new.eula, position), 0)


def update(
    stored: StoredAgreement | None, new: Agreement, expected_version: int | None = None
) -> AgreementChange | None:
    """Returns the change that makes an agreement say something else, or None if it says so already.

    Args:
        stored: What is there, or None.
        new: What it is to say.
        expected_version: What the change starts from, or None for what is there.

    Raises:
        EulaNotFound: There is no such agreement.
        EulaVersionConflict: It is of another version.
        InvalidRequest: See `check_same_agreement`.
    """
    if stored is None:
        raise EulaNotFound(new.eula.eula_id)
    old = stored.agreement
    new = Agreement(new.eula, new.position or old.position)
    is_there = new == old and not stored.is_withdrawn
    if expected_version not in (None, stored.version):
        if is_there and stored.is_as_expected(expected_version or 0):
            return None
        raise EulaVersionConflict(new.eula.eula_id, stored.version)
    if is_there:
        return None
    check_same_agreement(old.eula, new.eula)
    kind = ChangeKind.RESTORED if stored.is_withdrawn else ChangeKind.UPDATED
    return AgreementChange(kind, new, stored.version, asks_again(old.eula, new.eula))


def withdrawal(stored: StoredAgreement | None, eula_id: str, expected_version: int) -> AgreementChange | None:
    """Returns the change that takes an agreement out of force, or None if it is.

    Raises:
        EulaNotFound: There is no such agreement.
        EulaVersionConflict: It is of another version.
    """
    if stored is None:
        raise EulaNotFound(eula_id)
    if stored.is_withdrawn and stored.is_as_expected(expected_version):
        return None
    if expected_version != stored.version:
        raise EulaVersionConflict(eula_id, stored.version)
    return AgreementChange(ChangeKind.WITHDRAWN, stored.agreement, stored.version)


def asks_again(before: Eula, after: Eula) -> bool:
    """Returns whether those who have decided on an agreement have to decide again after a change of it."""
    return (before.ttl_s, before.revision) != (after.ttl_s, after.revision)


def changed_fields(before: Agreement, after: Agreement) -> list[str]:
    """Returns the names of the fields that differ."""
    changed = [name for name in Eula.model_fields if getattr(before.eula, name) != getattr(after.eula, name)]
    return [*changed, "position"] if after.position not in (0, before.position) else changed


@dataclass(slots=True)
class FileImport:
    """What an import of the configuration file does with each agreement: ids, and the changes that it stores."""

    created: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    not_in_file: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    changes: list[AgreementChange] = field(default_factory=list)


def file_import(eulas: Sequence[Eula], stored: Mapping[str, StoredAgreement], locales: Sequence[str]) -> FileImport:
    """Returns what to copy of the configuration file into the database.

    What somebody has changed in the database is kept, and so is what the file would make something that users have not
    decided on. Nobody is asked again: a higher revision of the file asks by itself.

    Args:
        eulas: The agreements of the file, in the order in which they are shown.
        stored: Those of the database, withdrawn ones too, by id.
        locales: The languages that are served, in lower case.
    """
    found = FileImport()
    for number, eula in enumerate(eulas, start=1):
        known, agreement = stored.get(eula.eula_id), Agreement(eula, number * POSITION_STEP)
        if any(missing_texts(eula, locales)):
            found.incomplete.append(eula.eula_id)
        elif known is None:
            found.created.append(eula.eula_id)
            found.changes.append(AgreementChange(ChangeKind.IMPORTED, agreement, 0))
        elif known.agreement == agreement and not known.is_withdrawn:
            found.unchanged.append(eula.eula_id)
        elif known.kind is ChangeKind.IMPORTED and _is_same_agreement(known.agreement.eula, eula):
            found.updated.append(eula.eula_id)
            found.changes.append(AgreementChange(ChangeKind.IMPORTED, agreement, known.version))
        else:
            found.kept.append(eula.eula_id)
    named = {eula.eula_id for eula in eulas}
    found.not_in_file = sorted(one for one, known in stored.items() if one not in named and not known.is_withdrawn)
    return found


def _is_same_agreement(before: Eula, after: Eula) -> bool:
    return after.type == before.type and after.revision >= before.revision


def by_id(stored: Iterable[StoredAgreement]) -> dict[str, StoredAgreement]:
    return {one.agreement.eula.eula_id: one for one in stored}
