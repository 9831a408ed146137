"""Launch's answer as the contract has it."""

from __future__ import annotations

from collections.abc import Mapping

from google.protobuf.struct_pb2 import Struct, Value

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2
from ridehail_clients import AllowedChanges, OrdersStateAndPolicy, OrderState, PollingPolicy
from ridehail_kernel.json_values import JsonInput, to_struct

from .known_orders import OtherMembers
from .launches import Launch


def launch_response(launch: Launch, *, others: OtherMembers) -> api.LaunchResponse:
    """Returns the answer; what cannot be told is absent from it.

    Args:
        launch: What the app is told.
        others: What else the app sent of its orders: it comes back beside what is told of them.
    """
    # A message is present even when it is empty; None leaves the field out.
    return api.LaunchResponse(
        mlutp_orders_state=None if launch.orders_state is None else _orders_state(launch.orders_state, others),
        eulas=None if launch.accepted is None else api.LaunchEulas(accepted=launch.accepted),
    )


def _orders_state(state: OrdersStateAndPolicy, others: OtherMembers) -> api.MlutpOrdersState:
    return api.MlutpOrdersState(
        tags=state.tags,
        orders=[_order(order, others.get((order.service, order.orderid), {})) for order in state.orders],
        allowed_changes=[_allowed_changes(one) for one in state.allowed_changes],
        polling_policy=[_polling_policy(one) for one in state.polling_policy],
    )


def _order(order: OrderState, others: Mapping[str, Value]) -> Struct:
    told: dict[str, JsonInput] = {
        "orderid": order.orderid,
        "service": order.service,
        "status": order.status,
        "tags": order.tags,
        "need_request": order.need_request,
        "update_status": str(order.update_status),
    }
    if order.details is not None:
        told["details"] = order.details
    return Struct(fields={**others, **to_struct(told).fields})


def _allowed_changes(changes: AllowedChanges) -> order_state_pb2.AllowedChanges:
    return order_state_pb2.AllowedChanges(
        service=changes.service,
        can_make_more_orders=changes.can_make_more_orders,
        no_more_orders_reason=changes.no_more_orders_reason,
    )


def _polling_policy(policy: PollingPolicy) -> order_state_pb2.PollingPolicy:
    return order_state_pb2.PollingPolicy(
        service=policy.service,
        part_name=policy.part_name,
        url=policy.url,
        fields=policy.fields,
        polling_type=policy.polling_type,
        part_type=policy.part_type,
        priority=policy.priority,
        required=policy.required,
    )
