"""A user's personal state, and what may be done to it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ridehail_clients.json_values import JsonObject, JsonValue
from ridehail_servers.chassis.errors import FieldViolation, InvalidRequest
from ridehail_servers.chassis.json_text import encode

from .errors import PersonalStateTooLarge, RevisionConflict

MAX_BYTES: Final = 64 * 1024
"""Of a state as JSON, without its revision."""
MAX_TARIFFS: Final = 200
DEEPEST: Final = 25
"""Levels of objects and arrays in a tariff's requirements, themselves included. Protobuf reads at most 100 messages
within one another and takes three for an object, so a deeper state could be stored, but not be copied or compared."""

_REVISION_ID: Final = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class PersonalState:
    """What a user has set for rides.

    Attributes:
        revision: How often it was changed; 0 for a user who has set nothing.
        selected_category: The chosen tariff; empty: none.
        tariffs: Category -> the user's requirements; the order is the back end's own.
    """

    revision: int
    selected_category: str
    tariffs: Mapping[str, JsonObject]


EMPTY: Final = PersonalState(0, "", {})
"""The state of a user who has set nothing."""


@dataclass(frozen=True, slots=True)
class Change:
    """What an update asks for.

    Attributes:
        revision_id: The revision that the caller saw, as the caller wrote it.
        selected_category: The tariff to choose; empty: none; None: as before.
        tariffs: Requirements that replace those of the same categories.
    """

    revision_id: str
    selected_category: str | None
    tariffs: Mapping[str, JsonObject]

    def expected_revision(self) -> int | None:
        """Returns the revision that the state must be of; None: no state is ever of this one."""
        return int(self.revision_id) if _REVISION_ID.fullmatch(self.revision_id) else None


@dataclass(frozen=True, slots=True)
class StateCopy:
    """A user's state as one back end hands it to another."""

    yandex_uid: str
    state: PersonalState


def checked(changed: PersonalState | None, current_revision: int) -> PersonalState:
    """Returns the state after an update, if it may stay.

    Args:
        changed: As the update left it; None: the state was of another revision.
        current_revision: Of the state, in that case.

    Raises:
        RevisionConflict: The state was of another revision.
        PersonalStateTooLarge: It has become too large.
    """
    if changed is None:
        raise RevisionConflict(current_revision)
    check_size(changed)
    return changed


def check_size(state: PersonalState) -> None:
    """Refuses a state that is too large to be kept.

    Args:
        state: As it would be kept.

    Raises:
        PersonalStateTooLarge: It is.
    """
    as_json: JsonObject = {
        "selected_category": state.selected_category,
        "tariffs": [{"category": category, "requirements": one} for category, one in state.tariffs.items()],
    }
    if len(state.tariffs) > MAX_TARIFFS or len(encode(as_json).encode()) > MAX_BYTES:
        raise PersonalStateTooLarge(max_bytes=MAX_BYTES, max_tariffs=MAX_TARIFFS)


def by_category(given: Sequence[tuple[str, JsonObject]], field: str) -> dict[str, JsonObject]:
    """Returns the settings of a request by category.

    Args:
        given: Category and requirements of each tariff, in the order of the request.
        field: Names the list in the request.

    Raises:
        InvalidRequest: A category is there twice, or requirements hold what a state cannot hold.
    """
    settings = dict(given)
    violations = [
        FieldViolation(f"{field}[{index}].requirements", *broken)
        for index, (_category, requirements) in enumerate(given)
        if (broken := _broken_rule(requirements)) is not None
    ]
    if len(settings) < len(given):
        violations.insert(0, FieldViolation(field, "must have each category once", "personal_state.unique_category"))
    if violations:
        raise InvalidRequest(violations)
    return settings


def check_copies(copies: Sequence[StateCopy]) -> None:
    """Refuses copies that do not go together.

    Args:
        copies: Of a request.

    Raises:
        InvalidRequest: A user is there twice, or a state is too large to be kept.
    """
    violations = []
    if len({copy.yandex_uid for copy in copies}) < len(copies):
        violations.append(FieldViolation("states", "must have each user once", "personal_state.unique_user"))
    for index, copy in enumerate(copies):
        try:
            check_size(copy.state)
        except PersonalStateTooLarge as error:
            violations.append(FieldViolation(f"states[{index}]", error.message, "personal_state.size"))
    if violations:
        raise InvalidRequest(violations)


def _broken_rule(requirements: JsonObject) -> tuple[str, str] | None:
    """Returns what is wrong with requirements: what JSON or Postgres has no form for, and what nests too deep."""
    level: list[JsonValue] = [requirements]
    for depth in range(1, DEEPEST + 2):
        inner: list[JsonValue] = []
        for value in level:
            if isinstance(value, float) and not math.isfinite(value):
                return "must hold finite numbers only", "personal_state.finite"
            if _has_nul(value):
                return "must not hold a NUL character", "personal_state.no_nul"
            if isinstance(value, dict | list):
                if depth > DEEPEST:
                    return f"must not nest deeper than {DEEPEST} levels", "personal_state.depth"
                inner.extend(value.values() if isinstance(value, dict) else value)
        level = inner
    return None


def _has_nul(value: JsonValue) -> bool:
    texts: Iterable[JsonValue] = value if isinstance(value, dict) else (value,)
    return any(isinstance(text, str) and "\0" in text for text in texts)
