"""The composition root: which services exist. A new service is one line in `_SERVICES`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ridehail.common.v1 import options_pb2
from ridehail_clients.contract import service_audience

from .api_proxy.definition import DEFINITION as API_PROXY
from .chassis.access import AccessPolicy
from .chassis.config import load
from .chassis.service_definition import ServiceDefinition
from .eulas.definition import DEFINITION as EULAS
from .family.definition import DEFINITION as FAMILY
from .inapp_communications.definition import DEFINITION as INAPP_COMMUNICATIONS
from .order_state.definition import DEFINITION as ORDER_STATE
from .passenger_authorizer.definition import definition as passenger_authorizer
from .reference.order_core.definition import DEFINITION as ORDER_CORE
from .reference.order_provider.definition import EATS as EATS_ORDERS
from .reference.order_provider.definition import GROCERY as GROCERY_ORDERS
from .reference.protocol.definition import DEFINITION as PROTOCOL
from .route_sharing.definition import DEFINITION as ROUTE_SHARING
from .toll_roads.definition import DEFINITION as TOLL_ROADS
from .user_state.definition import DEFINITION as USER_STATE

_SERVICES = (
    TOLL_ROADS,
    ORDER_CORE,
    EATS_ORDERS,
    GROCERY_ORDERS,
    ORDER_STATE,
    EULAS,
    FAMILY,
    ROUTE_SHARING,
    INAPP_COMMUNICATIONS,
    USER_STATE,
    PROTOCOL,
    API_PROXY,
)


def _passenger_services(definitions: Iterable[ServiceDefinition]) -> dict[str, str]:
    """Returns the full name of every gRPC service for passengers, with the service of the suite that serves it."""
    return {
        contract.descriptor.full_name: definition.name
        for definition in definitions
        for contract in definition.contracts
        if service_audience(contract.descriptor) == options_pb2.AUDIENCE_PASSENGER
    }


_AUTHORIZER = passenger_authorizer(_passenger_services(_SERVICES))

SERVICES: dict[str, ServiceDefinition] = {definition.name: definition for definition in (*_SERVICES, _AUTHORIZER)}
"""Every service, by name."""

AUTHORIZER: str = _AUTHORIZER.name
"""The service that the gateway asks about every passenger's request. It has a process of its own: what passengers send
to other services must not make all passengers wait."""


def ticket_sources(config_dir: Path) -> frozenset[str]:
    """Returns everybody who may have ticket keys: the services, and the callers that `access.yaml` names.

    Args:
        config_dir: Holds `access.yaml`.

    Raises:
        ConfigError: It is bad.
    """
    return load(config_dir / "access.yaml", AccessPolicy).callers | set(SERVICES)
