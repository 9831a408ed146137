"""Wires inapp_communications."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.inapp.v1 import inapp_api_pb2, inapp_api_pb2_grpc
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition

from .config import InappConfig

_CONFIG = "inapp.yaml"


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    """Makes the service for one process."""
    from .dependencies import RouteSharing
    from .promos import PromoSelection
    from .service import InappCommunicationsServicer

    config: LiveConfig[InappConfig] = context.configs[_CONFIG]
    sharing = RouteSharing(context.channels["route-sharing"], ticket=context.tickets)
    selection = PromoSelection(lambda: config.value.banner_sets, sharing)
    yield RunningService(servicers=(InappCommunicationsServicer(selection),))


DEFINITION = ServiceDefinition(
    name="inapp-communications",
    configs={_CONFIG: InappConfig},
    dependencies=("route-sharing",),
    contracts=(
        Contract(
            inapp_api_pb2.DESCRIPTOR.services_by_name["InappCommunicationsService"],
            inapp_api_pb2_grpc.add_InappCommunicationsServiceServicer_to_server,
        ),
    ),
    build=build,
)
