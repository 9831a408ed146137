"""Personal states in the contract's messages."""

from __future__ import annotations

from google.protobuf import json_format

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_clients import TariffSettings
from ridehail_kernel.json_values import JsonObject, from_struct

from .question import Question, question_of


def question_from(request: api.PersonalStateRequest, *, yandex_uid: str) -> Question:
    """Returns what a rider asks.

    Args:
        request: Valid by its contract.
        yandex_uid: The rider.

    Raises:
        InvalidRequest: See `question_of`.
    """
    return question_of(
        yandex_uid,
        revision_id=request.revision_id if request.HasField("revision_id") else None,
        selected_category=request.selected_category if request.HasField("selected_category") else None,
        tariffs=[TariffSettings(one.category, from_struct(one.requirements)) for one in request.tariffs],
    )


def response_of(body: JsonObject) -> api.PersonalStateResponse:
    """Returns a state as the rider gets it.

    Args:
        body: The state as JSON, as a back end answered it.
    """
    return json_format.ParseDict(body, api.PersonalStateResponse())
