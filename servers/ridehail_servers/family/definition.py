"""Wires family."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.family.v1 import family_api_pb2, family_api_pb2_grpc
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .config import FamilyConfig
from .demo import load_demo

_CONFIG = "family.yaml"


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    """Makes the service for one process."""
    from ridehail_clients import AsyncRouteSharingClient
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .dependencies import RouteSharing
    from .families import Families
    from .invitation_store import InvitationStore
    from .invitations import Invitations
    from .own_families import OwnFamilies
    from .publication import FamilyChanges, PublishFamilies
    from .publication_store import PublicationStore
    from .service import FamilyServicer, PassengerFamilyServicer
    from .store import FamilyStore
    from .tasks import PurgeFamilies
    from .user_data_store import FamilyUserData

    assert context.storage is not None
    database, queue, clock = context.storage.database, context.storage.queue, context.clock
    config: LiveConfig[FamilyConfig] = context.configs[_CONFIG]
    store, invitation_store, publication = FamilyStore(), InvitationStore(), PublicationStore()
    route_sharing = RouteSharing(AsyncRouteSharingClient(context.channels["route-sharing"], ticket=context.tickets))
    publish = PublishFamilies(database, publication, route_sharing, clock)
    families = Families(database, store, FamilyChanges(publication, queue, clock), clock, _new_id)
    own_families = OwnFamilies(database, store, invitation_store, families, clock)
    invitations = Invitations(
        database, invitation_store, families, lambda: config.value.invitations, clock=clock, new_id=_new_id
    )
    purge = PurgeFamilies(database, store, invitation_store, clock)
    yield RunningService(
        servicers=(
            FamilyServicer(families),
            PassengerFamilyServicer(families, own_families, invitations),
            UserDataServicer(database, FamilyUserData()),
        ),
        tasks=(publish.task, publish.overdue_task, purge.task),
    )


def _new_id() -> str:
    return uuid.uuid4().hex


DEFINITION = ServiceDefinition(
    name="family",
    schema="family",
    configs={_CONFIG: FamilyConfig},
    dependencies=("route-sharing",),
    contracts=(
        Contract(
            family_api_pb2.DESCRIPTOR.services_by_name["FamilyService"],
            family_api_pb2_grpc.add_FamilyServiceServicer_to_server,
        ),
        Contract(
            family_api_pb2.DESCRIPTOR.services_by_name["PassengerFamilyService"],
            family_api_pb2_grpc.add_PassengerFamilyServiceServicer_to_server,
        ),
        USER_DATA,
    ),
    build=build,
    has_tasks=True,
    demo=load_demo,
)
