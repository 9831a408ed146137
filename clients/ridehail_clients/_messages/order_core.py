"""Requests and answers of order core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ridehail.ordercore.v1 import order_core_api_pb2 as api
from ridehail_clients._messages.fields import to_strings
from ridehail_clients.json_values import JsonInput, from_struct, to_list, to_struct, to_value
from ridehail_clients.models import OrderFields, OrderInfo


def put_order_request(*, order_id: str, yandex_uid: str, document: Mapping[str, JsonInput]) -> api.PutOrderRequest:
    """Builds the request of PutOrder."""
    return api.PutOrderRequest(order_id=order_id, yandex_uid=yandex_uid, document=to_struct(document))


def get_order_fields_request(*, order_id: str, fields: Sequence[str]) -> api.GetOrderFieldsRequest:
    """Builds the request of GetOrderFields."""
    return api.GetOrderFieldsRequest(order_id=order_id, fields=to_strings("fields", fields))


def set_order_fields_request(
    *,
    order_id: str,
    expected_version: int | None,
    set_values: Mapping[str, JsonInput],
    unset: Sequence[str],
    push: Mapping[str, Sequence[JsonInput]],
    increment: Mapping[str, int],
    call_processing: bool,
) -> api.SetOrderFieldsRequest:
    """Builds the request of SetOrderFields."""
    return api.SetOrderFieldsRequest(
        order_id=order_id,
        expected_version=expected_version,
        set={path: to_value(value) for path, value in set_values.items()},
        unset=to_strings("unset", unset),
        push={path: to_list(values) for path, values in push.items()},
        increment=increment,
        call_processing=call_processing,
    )


def order_fields(answer: api.GetOrderFieldsResponse) -> OrderFields:
    """Reads the answer of GetOrderFields."""
    return OrderFields(fields=from_struct(answer.fields), version=answer.version)


def order_info(answer: api.GetOrderInfoResponse) -> OrderInfo:
    """Reads the answer of GetOrderInfo."""
    return OrderInfo(
        order_id=answer.order_id,
        yandex_uid=answer.yandex_uid,
        status=answer.status,
        sharing_key=answer.sharing_key,
    )
