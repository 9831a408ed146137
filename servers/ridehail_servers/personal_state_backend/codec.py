"""Converts the messages of both contracts, which have the same fields, to and from domain values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ridehail.protocol.v1 import protocol_api_pb2 as protocol
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail.userstate.v1 import user_state_pb2
from ridehail_kernel.json_values import JsonObject, from_struct, to_struct

from .state import PersonalState, StateChange, StateCopy, by_category, check_copies


def change_from(request: user_state.UpdatePersonalStateRequest | protocol.UpdatePersonalStateRequest) -> StateChange:
    """Returns the change that a valid update request holds."""
    return StateChange(
        revision_id=request.revision_id,
        selected_category=request.selected_category if request.HasField("selected_category") else None,
        tariffs=by_category(_settings(request.tariffs), "tariffs"),
    )


def copies_from(
    request: user_state.ImportPersonalStatesRequest | protocol.ImportPersonalStatesRequest,
) -> list[StateCopy]:
    """Returns the copies of a valid request."""
    copies = [
        StateCopy(
            one.yandex_uid,
            PersonalState(
                int(one.revision_id),
                one.selected_category,
                by_category(_settings(one.tariffs), f"states[{index}].tariffs"),
            ),
        )
        for index, one in enumerate(request.states)
    ]
    check_copies(copies)
    return copies


def state_fields(state: PersonalState) -> dict[str, Any]:  # arguments of a message, which differ in type
    """Returns the fields of a state in the responses of both contracts."""
    return {
        "revision_id": str(state.revision),
        "selected_category": state.selected_category,
        "tariffs": [
            user_state_pb2.TariffSettings(category=category, requirements=to_struct(requirements))
            for category, requirements in state.tariffs.items()
        ],
    }


def copy_messages(copies: Iterable[StateCopy]) -> list[user_state_pb2.PersonalStateCopy]:
    return [user_state_pb2.PersonalStateCopy(yandex_uid=copy.yandex_uid, **state_fields(copy.state)) for copy in copies]


def _settings(messages: Sequence[user_state_pb2.TariffSettings]) -> list[tuple[str, JsonObject]]:
    return [(one.category, from_struct(one.requirements)) for one in messages]
