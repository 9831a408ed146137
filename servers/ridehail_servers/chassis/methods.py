"""What the chassis knows of each method that a service serves, gathered once at the start."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ridehail.common.v1 import options_pb2
from ridehail_kernel.method_contracts import method_contract, service_audience

from .quick_checks import QUICK_CHECKS
from .quick_rules import NO_CHECK, QuickCheck
from .request_limits import RequestLimits, may_hold_json, value_counter
from .service_definition import ServiceDefinition


@dataclass(frozen=True, slots=True)
class ServedMethod:
    """One method.

    Attributes:
        name: `package.Service/Method`.
        service: The suite's service that serves it, as tickets name it ("toll-roads").
        for_passengers: Whether passengers call it, through the gateway.
        is_internal_write: Whether services change something by it.
        by_gateway_key: Whether only the gateway calls it, with its key instead of a ticket.
        deadline: Seconds that a call may take at most.
        is_surely_valid: Says whether a request surely keeps the rules of its contract.
        is_plain: Says whether it surely keeps its limits as well and holds no JSON: nothing else has to look at it.
    """

    name: str
    service: str
    for_passengers: bool
    is_internal_write: bool
    by_gateway_key: bool
    deadline: float
    request: type[Message]
    limits: RequestLimits
    is_surely_valid: Callable[[Any], bool]
    is_plain: Callable[[Any], bool]


MethodTable = Mapping[str, ServedMethod]
"""The methods of one service of the suite, by the path that gRPC uses, `/package.Service/Method`. Health and reflection
are not in it: they are open to all."""


def method_table(definition: ServiceDefinition) -> MethodTable:
    """Builds the table of one service; raises `ValueError` if a contract states no deadline or audience."""
    table: dict[str, ServedMethod] = {}
    for served in definition.contracts:
        for method in served.descriptor.methods:
            name = f"{served.descriptor.full_name}/{method.name}"
            ours = served.gateway_deadline is None
            limits = RequestLimits.of(method)
            quick = QUICK_CHECKS.get(method.input_type.full_name, NO_CHECK)
            audience = service_audience(served.descriptor) if ours else options_pb2.AUDIENCE_INTERNAL
            table[f"/{name}"] = ServedMethod(
                name=name,
                service=definition.name,
                for_passengers=audience == options_pb2.AUDIENCE_PASSENGER,
                is_internal_write=ours and audience == options_pb2.AUDIENCE_INTERNAL and not _is_read(method),
                by_gateway_key=not ours,
                deadline=served.gateway_deadline or method_contract(method).deadline,
                request=GetMessageClass(method.input_type),
                limits=limits,
                is_surely_valid=quick.is_surely_valid,
                is_plain=_is_plain(method.input_type, quick, limits),
            )
    return table


def _is_plain(request: Descriptor, quick: QuickCheck, limits: RequestLimits) -> Callable[[Any], bool]:
    is_surely_valid, max_values = quick
    if quick is NO_CHECK:
        return is_surely_valid
    is_bounded = max_values is not None and max_values <= limits.max_values
    if is_bounded and not may_hold_json(request):
        return is_surely_valid
    count = value_counter(request, json_only=is_bounded)
    # What a check costs is counted before it is spent.
    return lambda message: count(message) <= limits.max_values and is_surely_valid(message)


def _is_read(method: MethodDescriptor) -> bool:
    options: MethodOptions = method.GetOptions()
    return options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS
