"""How api_proxy is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.apiproxy.v1 import api_proxy_api_pb2, api_proxy_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition

from .config import ApiProxyConfig
from .demo import load_demo
from .eulas import Eulas
from .personal_state_assembly import personal_states
from .personal_state_metrics import NEW, OLD
from .route_stats import RouteStats
from .service import PersonalStateServicer, RoutestatsServicer, ZoneInfoServicer
from .zone_info import ZoneInfo

_CONFIG = "api_proxy.yaml"
_SERVICES = api_proxy_api_pb2.DESCRIPTOR.services_by_name


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    """Makes the service for one process."""
    live = context.configs[_CONFIG]
    eulas = Eulas(context.channels["eulas"], ticket=context.tickets)

    def config() -> ApiProxyConfig:
        value: ApiProxyConfig = live.value
        return value

    def plugin_eulas(yandex_uid: str) -> bool:
        return context.experiments.enabled("plugin_eulas", passenger=yandex_uid)

    async with personal_states(context, lambda: config().personalstate) as states:
        yield RunningService(
            servicers=(
                RoutestatsServicer(RouteStats(config, plugin_eulas=plugin_eulas, statuses=eulas)),
                ZoneInfoServicer(ZoneInfo(config, agreements=eulas)),
                PersonalStateServicer(states),
            )
        )


DEFINITION = ServiceDefinition(
    name="api-proxy",
    configs={_CONFIG: ApiProxyConfig},
    neighbours=("eulas", OLD, NEW),
    contracts=(
        Contract(_SERVICES["RoutestatsService"], api_proxy_api_pb2_grpc.add_RoutestatsServiceServicer_to_server),
        Contract(_SERVICES["ZoneInfoService"], api_proxy_api_pb2_grpc.add_ZoneInfoServiceServicer_to_server),
        Contract(_SERVICES["PersonalStateService"], api_proxy_api_pb2_grpc.add_PersonalStateServiceServicer_to_server),
    ),
    build=build,
    demo=load_demo,
)
