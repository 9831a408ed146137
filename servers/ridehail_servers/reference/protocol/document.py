"""A user's document: read whole, changed in memory, written whole."""

from __future__ import annotations

from typing import TypedDict

from ridehail_kernel.json_values import JsonObject
from ridehail_servers.personal_state_backend.state import EMPTY, PersonalState, StateChange


class Tariff(TypedDict):
    """A user's settings for a tariff."""

    category: str
    requirements: JsonObject


class Document(TypedDict):
    """A user's document; tariffs in the order in which they were set, the latest last.

    The revision is text, since numbers in JSON are whole only up to 2^53.
    """

    revision: str
    selected_category: str
    tariffs: list[Tariff]


def state_of(document: Document | None) -> PersonalState:
    """Returns the state in a document, or the empty state without one."""
    if document is None:
        return EMPTY
    return PersonalState(
        revision=int(document["revision"]),
        selected_category=document["selected_category"],
        tariffs={tariff["category"]: tariff["requirements"] for tariff in document["tariffs"]},
    )


def document_of(state: PersonalState) -> Document:
    return Document(
        revision=str(state.revision),
        selected_category=state.selected_category,
        tariffs=[Tariff(category=category, requirements=one) for category, one in state.tariffs.items()],
    )


def changed(state: PersonalState, change: StateChange) -> PersonalState:
    """Returns a state as a change leaves it: settings that are replaced become the latest."""
    kept = {category: one for category, one in state.tariffs.items() if category not in change.tariffs}
    selected = state.selected_category if change.selected_category is None else change.selected_category
    return PersonalState(state.revision + 1, selected, {**kept, **change.tariffs})
