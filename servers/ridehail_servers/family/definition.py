"""Wires family."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.family.v1 import family_api_pb2, family_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .demo import load_demo


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    """Makes the service for one process."""
    from ridehail_clients import AsyncRouteSharingClient
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .dependencies import RouteSharing
    from .families import Families
    from .publication import FamilyChanges, PublishFamilies
    from .publication_store import PublicationStore
    from .service import FamilyServicer
    from .store import FamilyStore
    from .user_data_store import FamilyUserData

    assert context.storage is not None
    database, queue, clock = context.storage.database, context.storage.queue, context.clock
    publication = PublicationStore()
    changes = FamilyChanges(publication, queue, clock)
    route_sharing = RouteSharing(AsyncRouteSharingClient(context.channels["route-sharing"], ticket=context.tickets))
    publish = PublishFamilies(database, publication, route_sharing, clock)
    families = Families(database, FamilyStore(), changes, clock, new_id=lambda: uuid.uuid4().hex)
    yield RunningService(
        servicers=(FamilyServicer(families), UserDataServicer(database, FamilyUserData())),
        tasks=(publish.task, publish.overdue_task),
    )


DEFINITION = ServiceDefinition(
    name="family",
    schema="family",
    dependencies=("route-sharing",),
    contracts=(
        Contract(
            family_api_pb2.DESCRIPTOR.services_by_name["FamilyService"],
            family_api_pb2_grpc.add_FamilyServiceServicer_to_server,
        ),
        USER_DATA,
    ),
    build=build,
    has_tasks=True,
    demo=load_demo,
)
