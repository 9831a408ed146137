"""The facts that contracts state about services and methods, read from their protobuf descriptors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions, ServiceOptions

from ridehail.common.v1 import options_pb2


@dataclass(frozen=True, slots=True)
class MethodContract:
    """The facts of one method.

    Attributes:
        path: Its full path, as in `/ridehail.tollroads.v1.TollRoadsService/SaveOffer`.
        deadline: How long a whole call may take by default, retries included, in seconds.
        attempt_timeout: How long one attempt may take when there can be another, in seconds.
        idempotent: Whether a repeat is safe.
        audience: Who may call the method's service.
    """

    path: str
    deadline: float
    attempt_timeout: float
    idempotent: bool
    audience: options_pb2.Audience.ValueType


def method_contract(method: MethodDescriptor) -> MethodContract:
    """Reads the contract of a method.

    Raises:
        ValueError: The method states no deadline or attempt timeout, or its service no audience.
    """
    service = method.containing_service
    options: MethodOptions = method.GetOptions()
    policy = options.Extensions[options_pb2.call_policy]
    deadline = policy.deadline.ToTimedelta().total_seconds()
    attempt_timeout = policy.attempt_timeout.ToTimedelta().total_seconds()
    if deadline <= 0 or attempt_timeout <= 0:
        raise ValueError(f"{method.full_name} has no complete call_policy")
    return MethodContract(
        path=f"/{service.full_name}/{method.name}",
        deadline=deadline,
        attempt_timeout=attempt_timeout,
        idempotent=options.idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN,
        audience=service_audience(service),
    )


def service_audience(service: ServiceDescriptor) -> options_pb2.Audience.ValueType:
    """Reads who may call a service.

    Returns:
        A value of `ridehail.common.v1.Audience`, never the unspecified one.

    Raises:
        ValueError: The service states no audience.
    """
    options: ServiceOptions = service.GetOptions()
    audience = options.Extensions[options_pb2.audience]
    if audience == options_pb2.AUDIENCE_UNSPECIFIED:
        raise ValueError(f"{service.full_name} has no audience")
    return audience


def contracts_by_request(service: ServiceDescriptor) -> Mapping[str, MethodContract]:
    """Reads the contracts of all methods of a service.

    Returns:
        The contracts by the full name of the method's request message: each method has a request of its own.

    Raises:
        ValueError: A method or the service leaves a fact out, or two methods share a request message.
    """
    contracts: dict[str, MethodContract] = {}
    for method in service.methods:
        request = method.input_type.full_name
        if request in contracts:
            raise ValueError(f"{request} is the request of more than one method of {service.full_name}")
        contracts[request] = method_contract(method)
    return MappingProxyType(contracts)
