"""Orders as apps send them to launch: objects with the members of the contract's KnownOrder, and with any others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value
from protovalidate import Validator

from ridehail.orderstate.v1 import order_state_pb2
from ridehail_clients import KnownOrder
from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import from_struct
from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.chassis.interceptors.validation import field_violation

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
_VALIDATOR = Validator()
# Rules are compiled when first used, which takes milliseconds that no call should pay for.
_VALIDATOR.collect_violations(order_state_pb2.KnownOrder())


@dataclass(frozen=True, slots=True)
class KnownOrders:
    """The orders that an app knows.

    Attributes:
        orders: In the app's order, each once.
        others: What else the app sent of them.
    """

    orders: Sequence[KnownOrder]
    others: OtherMembers


def read_known_orders(sent: Sequence[Struct]) -> KnownOrders:
    """Returns the orders that an app knows.

    Args:
        sent: As the app sent them.

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
    others = (_others(members) for members in sent)
    orders = [_known_order(message, members) for message, members in zip(messages, sent, strict=True)]
    return KnownOrders(orders=orders, others=dict(zip(keys, others, strict=True)))


def _read(members: Struct) -> tuple[order_state_pb2.KnownOrder, list[FieldViolation]]:
    """Returns an order's members that the contract knows, as far as they can be read, and what is wrong with them."""
    # As everywhere in JSON that stands for a message, a null is as good as nothing.
    given = {name: members.fields[name] for name in _KINDS if name in members.fields}
    given = {name: value for name, value in given.items() if value.WhichOneof("kind") not in (None, "null_value")}
    read = {name: value for name, value in given.items() if value.WhichOneof("kind") == _KINDS[name]}
    # No rule looks into the details, but protovalidate would walk through them.
    plain = {name: _plain(name, value) for name, value in read.items() if name != "details"}
    message = order_state_pb2.KnownOrder(**plain)
    mistaken = [violation for name, value in given.items() for violation in _mistaken(name, value)]
    broken = [field_violation(one) for one in _VALIDATOR.collect_violations(message)]
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


def _known_order(message: order_state_pb2.KnownOrder, members: Struct) -> KnownOrder:
    details = members.fields["details"] if "details" in members.fields else Value()
    return KnownOrder(
        orderid=message.orderid,
        service=message.service,
        status=message.status,
        tags=dict(message.tags),
        force=message.force,
        details=from_struct(details.struct_value) if details.HasField("struct_value") else None,
    )
