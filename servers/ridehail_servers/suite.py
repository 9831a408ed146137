"""The composition root: lists the services. A new service is one line in `_DEFINITIONS`.

A definition is loaded on first use, and the code that serves it when it is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

from .chassis.access import AccessPolicy
from .chassis.config import load
from .chassis.service_definition import ServiceDefinition

_DEFINITIONS: Final = {
    "toll-roads": "toll_roads.definition:DEFINITION",
    "order-core": "reference.order_core.definition:DEFINITION",
    "eats-orders": "reference.order_provider.definition:EATS",
    "grocery-orders": "reference.order_provider.definition:GROCERY",
    "order-state": "order_state.definition:DEFINITION",
    "eulas": "eulas.definition:DEFINITION",
    "family": "family.definition:DEFINITION",
    "route-sharing": "route_sharing.definition:DEFINITION",
    "inapp-communications": "inapp_communications.definition:DEFINITION",
    "user-state": "user_state.definition:DEFINITION",
    "protocol": "reference.protocol.definition:DEFINITION",
    "api-proxy": "api_proxy.definition:DEFINITION",
    "user-data": "user_data.definition:DEFINITION",
}

AUTHORIZER: Final = "passenger-authorizer"
"""The service that authorizes every passenger's request. It has a process of its own: load of other services must not
delay all passengers."""


class _Services(Mapping[str, ServiceDefinition]):
    """Loads a definition on first use."""

    def __getitem__(self, name: str) -> ServiceDefinition:
        return _authorizer() if name == AUTHORIZER else _defined(_DEFINITIONS[name])

    def __iter__(self) -> Iterator[str]:
        return iter((*_DEFINITIONS, AUTHORIZER))

    def __len__(self) -> int:
        return len(_DEFINITIONS) + 1

    def __contains__(self, name: object) -> bool:
        return name in _DEFINITIONS or name == AUTHORIZER


SERVICES: Mapping[str, ServiceDefinition] = _Services()
"""Every service, by name."""


def ticket_sources(config_dir: Path) -> frozenset[str]:
    """Returns everybody who may have ticket keys: the services, and the callers in `access.yaml`."""
    return load(config_dir / "access.yaml", AccessPolicy).callers | set(SERVICES)


def secret_files() -> tuple[str, ...]:
    """Returns the files of the key folder that hold secrets and are no key pairs."""
    named = (need.files for name in SERVICES for need in SERVICES[name].keys)
    return tuple(file for file in named if "*" not in file)


def _defined(place: str) -> ServiceDefinition:
    module, _, name = place.partition(":")
    definition: ServiceDefinition = getattr(import_module(f".{module}", __package__), name)
    return definition


@cache
def _authorizer() -> ServiceDefinition:
    from .passenger_authorizer.definition import definition

    return definition(_passenger_services(map(_defined, _DEFINITIONS.values())))


def _passenger_services(definitions: Iterable[ServiceDefinition]) -> dict[str, str]:
    """Returns the full names of gRPC services for passengers -> the service of the suite that serves it."""
    from ridehail.common.v1 import options_pb2
    from ridehail_kernel.method_contracts import service_audience

    return {
        contract.descriptor.full_name: definition.name
        for definition in definitions
        for contract in definition.contracts
        if service_audience(contract.descriptor) == options_pb2.AUDIENCE_PASSENGER
    }
