"""The wiring of api_proxy: four features, of which each has the rooms of a service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.apiproxy.v1 import api_proxy_api_pb2, api_proxy_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition

from .config import ApiProxyConfig
from .demo import load_demo
from .launch.config import PollingRules

_CONFIG = "api_proxy.yaml"
_POLLING_RULES = "order_state.yaml"
_SERVICES = api_proxy_api_pb2.DESCRIPTOR.services_by_name


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from .card.definition import build_card
    from .launch.definition import build_launch
    from .personal_state.definition import build_personal_state
    from .tariffs.definition import build_tariffs

    live, live_rules = context.configs[_CONFIG], context.configs[_POLLING_RULES]

    def config() -> ApiProxyConfig:
        value: ApiProxyConfig = live.value
        return value

    def polling_rules() -> PollingRules:
        value: PollingRules = live_rules.value
        return value

    tariffs = build_tariffs(context, config)
    launch = build_launch(
        context, lambda: config().launch, rules=polling_rules, accepted_eulas=tariffs.eulas.list_accepted_ids
    )
    async with (
        build_card(context, config) as card,
        build_personal_state(context, lambda: config().personalstate) as personal_state,
    ):
        yield RunningService(servicers=(tariffs.routestats, tariffs.zone_info, launch, card, personal_state))


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
