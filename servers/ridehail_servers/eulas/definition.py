"""Wires eulas."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from ridehail.eulas.v1 import admin_eulas_api_pb2, admin_eulas_api_pb2_grpc, eulas_api_pb2, eulas_api_pb2_grpc
from ridehail_servers.chassis.background import cancelled, keep_running
from ridehail_servers.chassis.errors import DatabaseUnavailable
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .config import EulasConfig, TariffRequirements
from .demo import load_demo

_CONFIG = "eulas.yaml"
_REQUIREMENTS = "api_proxy.yaml"
_SERVICES = eulas_api_pb2.DESCRIPTOR.services_by_name
_ADMIN_SERVICES = admin_eulas_api_pb2.DESCRIPTOR.services_by_name


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from ridehail_servers.chassis.batch_throttle import BatchThrottle
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .admin.agreement_admin import AgreementAdmin
    from .admin.resign_store import ResignStore
    from .admin.service import AdminEulasServicer
    from .admin.store import AdminStore
    from .admin.tasks import ResignTask
    from .agreements import Agreements, UserDecisions
    from .catalogue_source import CatalogueSource
    from .catalogue_store import CatalogueStore
    from .codec import ListCodec
    from .log_store import LogStore
    from .service import EulasServicer, PassengerEulasServicer
    from .store import EulasStore
    from .tasks import PseudonymizeLog, PurgeDecisions
    from .user_data_store import EulasUserData

    assert context.storage is not None
    database = context.storage.database
    config: LiveConfig[EulasConfig] = context.configs[_CONFIG]
    requirements: LiveConfig[TariffRequirements] = context.configs[_REQUIREMENTS]
    catalogue = CatalogueSource(lambda: config.value, CatalogueStore(), context.clock)
    agreements = Agreements(
        UserDecisions(database, EulasStore()),
        catalogue=catalogue.current,
        required_types=lambda: requirements.value.required_types,
        clock=context.clock,
    )
    resign = ResignTask(
        database,
        ResignStore(),
        context.storage.queue,
        context.clock,
        lambda: BatchThrottle(config.value.resign.batch_size, config.value.resign.rest_factor),
    )
    admin = AgreementAdmin(
        database,
        agreements=AdminStore(),
        runs=ResignStore(),
        enqueue=resign.enqueue,
        is_in_force=lambda: catalogue.current().version is not None,
        clock=context.clock,
    )
    lists = ListCodec()
    # So that the first call finds a catalogue; while the database is away, calls fail for that anyway.
    with suppress(DatabaseUnavailable):
        await catalogue.load_first(database)
    following = asyncio.create_task(keep_running("catalogue of eulas", lambda: catalogue.run(database)))
    try:
        yield RunningService(
            servicers=(
                EulasServicer(agreements, lists),
                PassengerEulasServicer(agreements, lists),
                UserDataServicer(database, EulasUserData()),
                AdminEulasServicer(admin, lambda: config.value),
            ),
            tasks=(
                resign.task,
                PurgeDecisions(database, lambda: config.value.expired_kept_days, context.clock).task,
                PseudonymizeLog(database, LogStore()).task,
            ),
        )
    finally:
        await cancelled(following)


DEFINITION = ServiceDefinition(
    name="eulas",
    schema="eulas",
    configs={_CONFIG: EulasConfig, _REQUIREMENTS: TariffRequirements},
    contracts=(
        Contract(_SERVICES["EulasService"], eulas_api_pb2_grpc.add_EulasServiceServicer_to_server),
        Contract(_SERVICES["PassengerEulasService"], eulas_api_pb2_grpc.add_PassengerEulasServiceServicer_to_server),
        USER_DATA,
        Contract(
            _ADMIN_SERVICES["AdminEulasService"], admin_eulas_api_pb2_grpc.add_AdminEulasServiceServicer_to_server
        ),
    ),
    build=build,
    has_tasks=True,
    demo=load_demo,
)
