"""Messages of launch: an order is an object with the members that the contract knows, and with any others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from google.protobuf.struct_pb2 import Struct, Value
from protovalidate import Validator

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.orderstate.v1.order_state_api_pb2 import GetOrdersStateResponse
from ridehail.orderstate.v1.order_state_pb2 import KnownOrder, OrderState
from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.chassis.interceptors.validation import field_violation
from ridehail_servers.chassis.quick_checks import orderstate_known_order

OtherMembers = Mapping[tuple[str, str], Mapping[str, Value]]
"""Service and order -> the members of the order that the contract does not know, as the app sent them."""

# Members of KnownOrder -> the kind that they have in JSON, as `google.protobuf.Value` names it.
_KINDS: Mapping[str, str] = MappingProxyType(
    {
        "orderid": "string_value",
        "service": "string_value",
        "status": "string_value",
        "tags": "struct_value",
        "force": "bool_value",
        "details": "struct_value",
    }
)
_MUST_BE: Mapping[str, str] = MappingProxyType(
    {"string_value": "must be a string", "bool_value": "must be true or false", "struct_value": "must be an object"}
)
_STATE_MEMBERS: Final = frozenset(OrderState.DESCRIPTOR.fields_by_name)
# Orders that are written without a break: about a millisecond's worth.
_STRIDE: Final = 20
_VALIDATOR: Final = Validator()
# Rules are compiled when first used, which takes milliseconds that no call should pay for.
_VALIDATOR.collect_violations(KnownOrder())


@dataclass(frozen=True, slots=True)
class KnownOrders:
    """The orders that an app knows, each once, in its order; and what else it sent of them."""

    orders: Sequence[KnownOrder]
    others: OtherMembers


def read_known_orders(sent: Sequence[Struct]) -> KnownOrders:
    """Reads the orders that an app knows.

    Raises:
        InvalidRequest: An order is not as the contract's KnownOrder has it, or is there twice.
    """
    messages, broken = [], []
    for number, members in enumerate(sent):
        message, violations = _read(members)
        messages.append(message)
        broken.extend(_inside(f"known_orders[{number}]", violations))
    keys = [(message.service, message.orderid) for message in messages]
    if not broken and len(set(keys)) < len(keys):
        broken.append(
            FieldViolation("known_orders", "must not have the same order of a service twice", "order_state.unique")
        )
    if broken:
        raise InvalidRequest(broken)
    return KnownOrders(orders=messages, others=dict(zip(keys, map(_others, sent), strict=True)))


def _read(members: Struct) -> tuple[KnownOrder, list[FieldViolation]]:
    """Reads an order's members that the contract knows, as far as possible, and returns what is wrong with them."""
    # As everywhere in JSON that stands for a message, a null is as good as nothing.
    given = {name: members.fields[name] for name in _KINDS if name in members.fields}
    given = {name: value for name, value in given.items() if value.WhichOneof("kind") not in (None, "null_value")}
    read = {name: value for name, value in given.items() if value.WhichOneof("kind") == _KINDS[name]}
    plain = {name: _plain(name, value) for name, value in read.items() if name != "details"}
    message = KnownOrder(**plain)
    mistaken = [violation for name, value in given.items() for violation in _mistaken(name, value)]
    is_valid = orderstate_known_order(message)
    broken = [] if is_valid else [field_violation(one) for one in _VALIDATOR.collect_violations(message)]
    # Only now: no rule looks into the details, but protovalidate would walk through them.
    if "details" in read:
        message.details.CopyFrom(read["details"].struct_value)
    # Of a member that cannot be read it is enough to say that.
    return message, mistaken + [one for one in broken if one.field not in given.keys() - read.keys()]


def _mistaken(name: str, value: Value) -> list[FieldViolation]:
    """Returns what is wrong with the kind of a member."""
    if value.WhichOneof("kind") != _KINDS[name]:
        return [_wrong_kind(name, _KINDS[name])]
    if name == "tags":
        tags = value.struct_value.fields
        return [_wrong_kind(f'tags["{part}"]', "string_value") for part in sorted(tags) if not _is_string(tags[part])]
    return []


def _wrong_kind(path: str, wanted: str) -> FieldViolation:
    return FieldViolation(path, _MUST_BE[wanted], "known_order.kind")


def _is_string(value: Value) -> bool:
    return value.WhichOneof("kind") == "string_value"


def _plain(name: str, value: Value) -> Any:  # of the kind that the field of this name has
    """Returns a member as its field takes it, without what cannot be read."""
    if name == "tags":
        tags = value.struct_value.fields.items()
        return {part: tag.string_value for part, tag in tags if _is_string(tag)}
    return getattr(value, _KINDS[name])


def _inside(path: str, violations: Iterable[FieldViolation]) -> list[FieldViolation]:
    return [FieldViolation(f"{path}.{one.field}", one.description, one.reason) for one in violations]


def _others(members: Struct) -> dict[str, Value]:
    return {name: value for name, value in members.fields.items() if name not in _KINDS}


async def launch_response(
    state: GetOrdersStateResponse | None, accepted: Sequence[str] | None, *, others: OtherMembers
) -> api.LaunchResponse:
    """Writes the response; other calls run in between, since a rider may have hundreds of orders.

    Args:
        state: The rider's orders; None: the field is absent.
        accepted: Ids of the agreements that the rider has accepted; None: the field is absent.
        others: What else the app sent of its orders: it comes back beside what is known of them.
    """
    response = api.LaunchResponse(eulas=None if accepted is None else api.LaunchEulas(accepted=accepted))
    if state is None:
        return response
    written = response.mlutp_orders_state
    written.SetInParent()
    written.tags.update(state.tags)
    written.allowed_changes.extend(state.allowed_changes)
    written.polling_policy.extend(state.polling_policy)
    if state.HasField("polling_schedule"):
        written.polling_schedule.CopyFrom(state.polling_schedule)
    for number, order in enumerate(state.orders, start=1):
        _write_order(written.orders.add(), order, others.get((order.service, order.orderid), {}))
        if not number % _STRIDE:
            await asyncio.sleep(0)
    return response


def _write_order(written: Struct, order: OrderState, others: Mapping[str, Value]) -> None:
    # In place: a message that is made by itself would be copied into the one that holds it.
    fields = written.fields
    for name in others.keys() - _STATE_MEMBERS:
        fields[name].CopyFrom(others[name])
    fields["orderid"].string_value = order.orderid
    fields["service"].string_value = order.service
    fields["status"].string_value = order.status
    fields["update_status"].string_value = order.update_status
    tags = fields["tags"].struct_value
    tags.SetInParent()
    for part, tag in order.tags.items():
        tags.fields[part].string_value = tag
    parts = fields["need_request"].list_value
    parts.SetInParent()
    for part in order.need_request:
        parts.values.add(string_value=part)
    if order.HasField("details"):
        fields["details"].struct_value.CopyFrom(order.details)
