"""How api_proxy is put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ridehail.apiproxy.v1 import api_proxy_api_pb2, api_proxy_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition

from .config import ApiProxyConfig
from .demo import load_demo
from .launch.polling_rules import PollingRules

_CONFIG = "api_proxy.yaml"
_POLLING_RULES = "order_state.yaml"
_SERVICES = api_proxy_api_pb2.DESCRIPTOR.services_by_name


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    """Makes the service for one process."""
    from .card.parts import built_taxi_on_the_way
    from .card.service import TaxiOnTheWayServicer
    from .eulas import Eulas
    from .launch.launches import Launches
    from .launch.order_services import OrderServices
    from .launch.orders_state import OrdersStates
    from .personal_state.assembly import personal_states
    from .route_stats import RouteStats
    from .service import LaunchServicer, PersonalStateServicer, RoutestatsServicer, ZoneInfoServicer
    from .zone_info import ZoneInfo

    live, live_rules = context.configs[_CONFIG], context.configs[_POLLING_RULES]
    eulas = Eulas(context.channels["eulas"], ticket=context.tickets)

    def config() -> ApiProxyConfig:
        value: ApiProxyConfig = live.value
        return value

    def polling_rules() -> PollingRules:
        value: PollingRules = live_rules.value
        return value

    def takes_part(experiment: str) -> Callable[[str], bool]:
        return lambda yandex_uid: context.experiments.enabled(experiment, passenger=yandex_uid)

    orders_states = OrdersStates(
        lambda: config().launch,
        rules=polling_rules,
        asks=OrderServices(
            order_core=context.channels["order-core"],
            order_state=context.channels["order-state"],
            ticket=context.tickets,
        ),
        fallback=takes_part("launch_orders_state_fallback"),
    )
    async with (
        built_taxi_on_the_way(context, config) as taxi_on_the_way,
        personal_states(context, lambda: config().personalstate) as states,
    ):
        yield RunningService(
            servicers=(
                RoutestatsServicer(RouteStats(config, plugin_eulas=takes_part("plugin_eulas"), statuses=eulas)),
                ZoneInfoServicer(ZoneInfo(config, agreements=eulas)),
                LaunchServicer(Launches(config, orders_states=orders_states, agreements=eulas)),
                TaxiOnTheWayServicer(taxi_on_the_way),
                PersonalStateServicer(states),
            )
        )


DEFINITION = ServiceDefinition(
    name="api-proxy",
    configs={_CONFIG: ApiProxyConfig, _POLLING_RULES: PollingRules},
    dependencies=(
        *("eulas", "order-core", "order-state", "toll-roads", "route-sharing", "inapp-communications"),
        *("protocol", "user-state"),
    ),
    needs_cache=True,
    contracts=(
        Contract(_SERVICES["RoutestatsService"], api_proxy_api_pb2_grpc.add_RoutestatsServiceServicer_to_server),
        Contract(_SERVICES["ZoneInfoService"], api_proxy_api_pb2_grpc.add_ZoneInfoServiceServicer_to_server),
        Contract(_SERVICES["LaunchService"], api_proxy_api_pb2_grpc.add_LaunchServiceServicer_to_server),
        Contract(_SERVICES["TaxiOnTheWayService"], api_proxy_api_pb2_grpc.add_TaxiOnTheWayServiceServicer_to_server),
        Contract(_SERVICES["PersonalStateService"], api_proxy_api_pb2_grpc.add_PersonalStateServiceServicer_to_server),
    ),
    build=build,
    demo=load_demo,
)
