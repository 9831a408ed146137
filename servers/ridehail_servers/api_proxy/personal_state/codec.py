"""Messages of personal states."""

from __future__ import annotations

from google.protobuf import json_format

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_clients import TariffSettings
from ridehail_kernel.json_values import JsonObject

from .rider_request import RiderRequest, rider_request


def read_request(request: api.PersonalStateRequest, *, yandex_uid: str) -> RiderRequest:
    """Reads a request.

    Raises:
        InvalidRequest: See `rider_request`.
    """
    return rider_request(
        yandex_uid,
        revision_id=request.revision_id if request.HasField("revision_id") else None,
        selected_category=request.selected_category if request.HasField("selected_category") else None,
        tariffs=[TariffSettings.from_message(settings) for settings in request.tariffs],
    )


def state_response(body: JsonObject) -> api.PersonalStateResponse:
    """Writes the response; `body`: the state as JSON."""
    return json_format.ParseDict(body, api.PersonalStateResponse())
