"""Requests and answers of the API proxy."""

from __future__ import annotations

from collections.abc import Sequence

import grpc
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.struct_pb2 import Value

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.eulas.v1.eulas_pb2 import Eula as EulaMessage
from ridehail_clients._messages import eulas as eula_messages
from ridehail_clients._messages.fields import to_strings
from ridehail_clients.errors import ServiceError
from ridehail_clients.json_values import from_struct
from ridehail_clients.models import HiddenTariff, RouteStats, ZoneInfo


def get_route_stats_request(*, zone_name: str, tariffs: Sequence[str]) -> api.GetRouteStatsRequest:
    """Builds the request of GetRouteStats."""
    return api.GetRouteStatsRequest(zone_name=zone_name, tariffs=to_strings("tariffs", tariffs))


def route_stats(answer: api.GetRouteStatsResponse) -> RouteStats:
    """Reads the answer of GetRouteStats."""
    return RouteStats(
        tariffs=tuple(answer.tariffs),
        hidden=tuple(HiddenTariff(tariff=one.tariff, reason=one.reason) for one in answer.hidden),
    )


def zone_info(answer: api.GetZoneInfoResponse) -> ZoneInfo:
    """Reads the answer of GetZoneInfo.

    Raises:
        ServiceError: An element of `need_acceptance` is no agreement.
    """
    if not answer.HasField("need_acceptance"):
        return ZoneInfo(need_acceptance=None)
    return ZoneInfo(need_acceptance=eula_messages.eulas(_eula(one) for one in answer.need_acceptance.values))


def _eula(value: Value) -> EulaMessage:
    try:
        # What is no object gives an empty one, whose status is refused later.
        return ParseDict(from_struct(value.struct_value), EulaMessage(), ignore_unknown_fields=True)
    except ParseError as error:
        raise ServiceError(
            grpc.StatusCode.INTERNAL, message=f"the answer has an agreement that cannot be read: {error}"
        ) from error
