"""Wires eulas."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.eulas.v1 import eulas_api_pb2, eulas_api_pb2_grpc
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .config import EulasConfig, TariffRequirements
from .demo import load_demo

_CONFIG = "eulas.yaml"
_REQUIREMENTS = "api_proxy.yaml"
_SERVICES = eulas_api_pb2.DESCRIPTOR.services_by_name


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .agreements import Agreements, UserDecisions
    from .codec import ListCodec
    from .service import EulasServicer, PassengerEulasServicer
    from .store import EulasStore
    from .user_data_store import EulasUserData

    assert context.storage is not None
    config: LiveConfig[EulasConfig] = context.configs[_CONFIG]
    requirements: LiveConfig[TariffRequirements] = context.configs[_REQUIREMENTS]
    agreements = Agreements(
        UserDecisions(context.storage.database, EulasStore()),
        catalogue=lambda: config.value.catalogue,
        required_types=lambda: requirements.value.required_types,
        clock=context.clock,
    )
    lists = ListCodec()
    user_data = UserDataServicer(context.storage.database, EulasUserData())
    yield RunningService(
        servicers=(EulasServicer(agreements, lists), PassengerEulasServicer(agreements, lists), user_data)
    )


DEFINITION = ServiceDefinition(
    name="eulas",
    schema="eulas",
    configs={_CONFIG: EulasConfig, _REQUIREMENTS: TariffRequirements},
    contracts=(
        Contract(_SERVICES["EulasService"], eulas_api_pb2_grpc.add_EulasServiceServicer_to_server),
        Contract(_SERVICES["PassengerEulasService"], eulas_api_pb2_grpc.add_PassengerEulasServiceServicer_to_server),
        USER_DATA,
    ),
    build=build,
    demo=load_demo,
)
