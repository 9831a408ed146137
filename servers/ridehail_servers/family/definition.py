"""Wires family."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.family.v1 import family_api_pb2, family_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition

from .demo import load_demo


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    """Makes the service for one process."""
    from .families import Families
    from .service import FamilyServicer
    from .store import FamilyStore

    assert context.storage is not None
    families = Families(context.storage.database, FamilyStore(), context.clock, new_id=lambda: uuid.uuid4().hex)
    yield RunningService(servicers=(FamilyServicer(families),))


DEFINITION = ServiceDefinition(
    name="family",
    schema="family",
    contracts=(
        Contract(
            family_api_pb2.DESCRIPTOR.services_by_name["FamilyService"],
            family_api_pb2_grpc.add_FamilyServiceServicer_to_server,
        ),
    ),
    build=build,
    demo=load_demo,
)
