"""Wires protocol."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.protocol.v1 import protocol_api_pb2, protocol_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .demo import load_demo


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from ridehail_servers.chassis.user_data_service import UserDataServicer
    from ridehail_servers.personal_state_backend.copies import StateCopies

    from .service import ProtocolServicer
    from .store import DocumentStore
    from .stored_documents import StoredDocuments
    from .user_data_store import ProtocolUserData

    assert context.storage is not None
    database, store = context.storage.database, DocumentStore()
    states = StoredDocuments(database, store, context.clock)
    copies = StateCopies(database, store, context.clock)
    yield RunningService(servicers=(ProtocolServicer(states, copies), UserDataServicer(database, ProtocolUserData())))


DEFINITION = ServiceDefinition(
    name="protocol",
    schema="protocol",
    contracts=(
        Contract(
            protocol_api_pb2.DESCRIPTOR.services_by_name["ProtocolService"],
            protocol_api_pb2_grpc.add_ProtocolServiceServicer_to_server,
        ),
        USER_DATA,
    ),
    build=build,
    demo=load_demo,
)
