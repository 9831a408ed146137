"""A user's personal state: its limits, and the rules of changing and copying it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import JsonObject
from ridehail_servers.chassis.errors import InvalidRequest, ResponseTooLarge
from ridehail_servers.chassis.json_limits import count_values
from ridehail_servers.chassis.json_text import size_bytes

from .errors import PersonalStateTooLarge

MAX_BYTES: Final = 64 * 1024
"""Of a state as JSON, without its revision."""
MAX_TARIFFS: Final = 200
MAX_VALUES: Final = 1500
"""Tariffs, and members and elements of their requirements, in all."""
MAX_PAGE_BYTES: Final = 128 * 1024
"""Of the JSON of a page of states. A single state always fits, and what was listed always fits an import."""
_MAX_PAGE_VALUES: Final = 1900
_REVISION_ID: Final = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class PersonalState:
    """What a user has set for rides.

    Attributes:
        revision: Number of changes so far; 0 for a user who has set nothing.
        selected_category: The chosen tariff, or empty.
        tariffs: Category -> the user's requirements; each back end has an order of its own.
    """

    revision: int
    selected_category: str
    tariffs: Mapping[str, JsonObject]


EMPTY: Final = PersonalState(0, "", {})
"""The state of a user who has set nothing."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """What an update changes.

    Attributes:
        revision_id: The revision that the caller saw, as the caller wrote it.
        selected_category: The tariff to choose, empty for none, or None to keep it.
        tariffs: Requirements that replace those of the same categories.
    """

    revision_id: str
    selected_category: str | None
    tariffs: Mapping[str, JsonObject]

    def expected_revision(self) -> int | None:
        """Returns the revision that the state must be at, or None if no state ever is at the one given."""
        return int(self.revision_id) if _REVISION_ID.fullmatch(self.revision_id) else None


@dataclass(frozen=True, slots=True)
class StateCopy:
    """A user's state as one back end hands it to another."""

    yandex_uid: str
    state: PersonalState


def check_size(state: PersonalState) -> None:
    """Raises PersonalStateTooLarge for a state that is too large to be stored."""
    as_json: JsonObject = {
        "selected_category": state.selected_category,
        "tariffs": [{"category": category, "requirements": one} for category, one in state.tariffs.items()],
    }
    if len(state.tariffs) > MAX_TARIFFS or size_bytes(as_json) > MAX_BYTES or _values(state) > MAX_VALUES:
        raise PersonalStateTooLarge(max_bytes=MAX_BYTES, max_tariffs=MAX_TARIFFS, max_values=MAX_VALUES)


def check_page(page: Sequence[StateCopy] | None) -> Sequence[StateCopy]:
    """Returns the states of a page, if they fit into a response and into an import.

    Args:
        page: The states, or None if several of them have more than MAX_PAGE_BYTES.

    Raises:
        ResponseTooLarge: They do not fit. A page of one state always does.
    """
    if page is None:
        raise ResponseTooLarge(MAX_PAGE_BYTES)
    values = len(page)
    for copy in page if len(page) > 1 else ():
        values += _values(copy.state)
        if values > _MAX_PAGE_VALUES:
            raise ResponseTooLarge(MAX_PAGE_BYTES)
    return page


def _values(state: PersonalState) -> int:
    return count_values(dict(state.tariffs))


def by_category(given: Sequence[tuple[str, JsonObject]], field: str) -> dict[str, JsonObject]:
    """Returns the settings of a request by category; `field` names the list in the request.

    Raises:
        InvalidRequest: A category occurs twice.
    """
    settings = dict(given)
    if len(settings) < len(given):
        raise InvalidRequest([FieldViolation(field, "must have each category once", "personal_state.unique_category")])
    return settings


def check_copies(copies: Sequence[StateCopy]) -> None:
    """Raises InvalidRequest if a user occurs twice, or a state is too large to be stored."""
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
