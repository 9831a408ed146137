"""Wires toll_roads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.tollroads.v1 import toll_roads_api_pb2, toll_roads_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .config import TollRoadsConfig
from .demo import load_demo

_CONFIG = "toll_roads.yaml"
_SERVICES = toll_roads_api_pb2.DESCRIPTOR.services_by_name


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from ridehail_clients import AsyncOrderCoreClient
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .dependencies import OrderCore
    from .offers import Offers
    from .retention.tasks import retention_tasks
    from .road_lookup import RoadLookup, RoadsByOffer, RoadsByOrder
    from .service import PassengerTollRoadsServicer, TollRoadsServicer
    from .store import TollRoadsStore
    from .switching import RoadSwitching
    from .tasks import OrderSaveTask
    from .user_data_store import TollRoadsUserData

    assert context.storage is not None
    database, queue, config = context.storage.database, context.storage.queue, context.configs[_CONFIG]
    store = TollRoadsStore()
    save_task = OrderSaveTask(database, store, queue, context.clock)
    order_core = OrderCore(AsyncOrderCoreClient(context.channels["order-core"], ticket=context.tickets))
    lookups: dict[str, RoadLookup] = {
        "order": RoadsByOrder(database, store),
        "offer": RoadsByOffer(database, store, order_core),
    }
    retention = retention_tasks(database, lambda: config.value.retention, context.clock, context.archive_url)
    yield RunningService(
        servicers=(
            TollRoadsServicer(
                Offers(database, store, context.clock), lambda: lookups[config.value.retrieve_by], save_task
            ),
            PassengerTollRoadsServicer(RoadSwitching(database, store, order_core)),
            UserDataServicer(database, TollRoadsUserData()),
        ),
        tasks=(save_task.task, *retention),
    )


DEFINITION = ServiceDefinition(
    name="toll-roads",
    schema="toll_roads",
    configs={_CONFIG: TollRoadsConfig},
    dependencies=("order-core",),
    contracts=(
        Contract(_SERVICES["TollRoadsService"], toll_roads_api_pb2_grpc.add_TollRoadsServiceServicer_to_server),
        Contract(
            _SERVICES["PassengerTollRoadsService"],
            toll_roads_api_pb2_grpc.add_PassengerTollRoadsServiceServicer_to_server,
        ),
        USER_DATA,
    ),
    build=build,
    has_tasks=True,
    archives=True,
    demo=load_demo,
)
