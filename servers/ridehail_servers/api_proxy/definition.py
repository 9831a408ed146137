"""How api_proxy is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.apiproxy.v1 import api_proxy_api_pb2, api_proxy_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition

from .config import ApiProxyConfig
from .demo import load_demo
from .eulas import Eulas
from .route_stats import RouteStats
from .service import RoutestatsServicer, ZoneInfoServicer
from .taxi_on_the_way_parts import built_taxi_on_the_way
from .taxi_on_the_way_service import TaxiOnTheWayServicer
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

    async with built_taxi_on_the_way(context, config) as taxi_on_the_way:
        yield RunningService(
            servicers=(
                RoutestatsServicer(RouteStats(config, plugin_eulas=plugin_eulas, statuses=eulas)),
                ZoneInfoServicer(ZoneInfo(config, agreements=eulas)),
                TaxiOnTheWayServicer(taxi_on_the_way),
            )
        )


DEFINITION = ServiceDefinition(
    name="api-proxy",
    configs={_CONFIG: ApiProxyConfig},
    neighbours=("eulas", "order-core", "toll-roads", "route-sharing", "inapp-communications"),
    needs_cache=True,
    contracts=(
        Contract(_SERVICES["RoutestatsService"], api_proxy_api_pb2_grpc.add_RoutestatsServiceServicer_to_server),
        Contract(_SERVICES["ZoneInfoService"], api_proxy_api_pb2_grpc.add_ZoneInfoServiceServicer_to_server),
        Contract(_SERVICES["TaxiOnTheWayService"], api_proxy_api_pb2_grpc.add_TaxiOnTheWayServiceServicer_to_server),
    ),
    build=build,
    demo=load_demo,
)
