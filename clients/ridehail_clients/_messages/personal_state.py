"""Requests and answers about personal states, which several services answer alike."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TypeAlias

from google.protobuf.timestamp_pb2 import Timestamp

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.protocol.v1 import protocol_api_pb2 as protocol
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail.userstate.v1 import user_state_pb2
from ridehail_clients._messages.fields import to_timestamp
from ridehail_clients.json_values import JsonInput, JsonObject, JsonValue, from_struct, to_struct, to_value
from ridehail_clients.models import ComparedKind, PersonalState, PersonalStateCopy, TariffSettings

StateAnswer: TypeAlias = (
    user_state.GetPersonalStateResponse
    | user_state.UpdatePersonalStateResponse
    | protocol.GetPersonalStateResponse
    | protocol.UpdatePersonalStateResponse
    | api_proxy.PersonalStateResponse
)


def to_settings(tariffs: Iterable[TariffSettings]) -> list[user_state_pb2.TariffSettings]:
    """Builds the settings of tariffs."""
    return [
        user_state_pb2.TariffSettings(category=one.category, requirements=to_struct(one.requirements))
        for one in tariffs
    ]


def to_copies(states: Iterable[PersonalStateCopy]) -> list[user_state_pb2.PersonalStateCopy]:
    """Builds copies of states."""
    return [
        user_state_pb2.PersonalStateCopy(
            yandex_uid=state.yandex_uid,
            revision_id=state.revision_id,
            selected_category=state.selected_category,
            tariffs=to_settings(state.tariffs),
        )
        for state in states
    ]


def to_moment(name: str, moment: datetime | None) -> Timestamp | None:
    """Builds a moment that may be absent."""
    return None if moment is None else to_timestamp(name, moment)


def compare_jsons_request(
    *,
    old: JsonInput,
    new: JsonInput,
    request_id: str | None,
    kind: ComparedKind | None,
    old_status: int | None,
    new_status: int | None,
) -> user_state.CompareJsonsRequest:
    """Builds the request of CompareJsons."""
    return user_state.CompareJsonsRequest(
        request_id=request_id,
        kind=kind,
        old=to_value(old),
        new=to_value(new),
        old_status=old_status,
        new_status=new_status,
    )


def personal_state(answer: StateAnswer) -> PersonalState:
    """Reads an answer of whichever service."""
    tariffs = _settings(answer.tariffs)
    return PersonalState(
        revision_id=answer.revision_id,
        selected_category=answer.selected_category,
        tariffs=tariffs,
        body={
            "revision_id": answer.revision_id,
            "selected_category": answer.selected_category,
            "tariffs": [
                _settings_as_json(message, one.requirements)
                for message, one in zip(answer.tariffs, tariffs, strict=True)
            ],
        },
    )


def personal_state_copies(
    answer: user_state.ListPersonalStatesResponse | protocol.ListPersonalStatesResponse,
) -> tuple[PersonalStateCopy, ...]:
    """Reads the answer of ListPersonalStates, of either service."""
    return tuple(
        PersonalStateCopy(
            yandex_uid=state.yandex_uid,
            revision_id=state.revision_id,
            selected_category=state.selected_category,
            tariffs=_settings(state.tariffs),
        )
        for state in answer.states
    )


def _settings(messages: Iterable[user_state_pb2.TariffSettings]) -> tuple[TariffSettings, ...]:
    return tuple(TariffSettings(one.category, from_struct(one.requirements)) for one in messages)


def _settings_as_json(message: user_state_pb2.TariffSettings, requirements: JsonObject) -> JsonValue:
    # Python values cannot tell an empty object from an absent one; the JSON of the answer can.
    told: JsonObject = {"category": message.category}
    return told | {"requirements": requirements} if message.HasField("requirements") else told
