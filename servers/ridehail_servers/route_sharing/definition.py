"""Wires route_sharing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from ridehail.routesharing.v1 import route_sharing_api_pb2, route_sharing_api_pb2_grpc
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .config import RouteSharingConfig
from .demo import load_demo

_CONFIG = "route_sharing.yaml"
_SERVICES = route_sharing_api_pb2.DESCRIPTOR.services_by_name


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    """Makes the service for one process."""
    from ridehail_clients import AsyncFamilyClient, AsyncOrderCoreClient
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .dependencies import FamilyService, OrderCore
    from .family_sharing import FamilySharing
    from .followed_families import FollowedFamilies
    from .followed_family_store import FollowedFamilyStore
    from .service import PassengerRouteSharingServicer, RouteSharingServicer
    from .shared_rides import SharedRides
    from .store import RouteSharingStore
    from .tasks import DeleteOldRides, InsertOrders
    from .user_data_store import RouteSharingUserData

    assert context.storage is not None
    database, queue, clock = context.storage.database, context.storage.queue, context.clock
    config: LiveConfig[RouteSharingConfig] = context.configs[_CONFIG]
    store, family_store = RouteSharingStore(), FollowedFamilyStore()
    family = FamilyService(AsyncFamilyClient(context.channels["family"], ticket=context.tickets))
    orders = OrderCore(AsyncOrderCoreClient(context.channels["order-core"], ticket=context.tickets))
    shared_rides = SharedRides(database, store, family)
    inserts = InsertOrders(database, store, queue, clock)
    families = FollowedFamilies(database, family_store, clock)
    sharing = FamilySharing(database, store, families, family, orders, clock=clock)
    purge = DeleteOldRides(database, store, family_store, lambda: timedelta(hours=config.value.kept_h), clock)
    yield RunningService(
        servicers=(
            RouteSharingServicer(sharing, families, shared_rides, inserts),
            PassengerRouteSharingServicer(shared_rides, lambda: config.value.popup_title),
            UserDataServicer(database, RouteSharingUserData()),
        ),
        tasks=(inserts.task, purge.task),
    )


DEFINITION = ServiceDefinition(
    name="route-sharing",
    schema="order_route_sharing",
    configs={_CONFIG: RouteSharingConfig},
    dependencies=("family", "order-core"),
    contracts=(
        Contract(
            _SERVICES["RouteSharingService"], route_sharing_api_pb2_grpc.add_RouteSharingServiceServicer_to_server
        ),
        Contract(
            _SERVICES["PassengerRouteSharingService"],
            route_sharing_api_pb2_grpc.add_PassengerRouteSharingServiceServicer_to_server,
        ),
        USER_DATA,
    ),
    build=build,
    has_tasks=True,
    demo=load_demo,
)
