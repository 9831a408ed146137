"""Wires order_core."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.ordercore.v1 import order_core_api_pb2, order_core_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .demo import load_demo


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .order_documents import OrderDocuments
    from .service import OrderCoreServicer
    from .store import OrderDocumentStore
    from .user_data_store import OrderCoreUserData

    assert context.storage is not None
    orders = OrderDocuments(database=context.storage.database, store=OrderDocumentStore(), clock=context.clock)
    yield RunningService(
        servicers=(OrderCoreServicer(orders), UserDataServicer(context.storage.database, OrderCoreUserData()))
    )


DEFINITION = ServiceDefinition(
    name="order-core",
    schema="order_core",
    contracts=(
        Contract(
            order_core_api_pb2.DESCRIPTOR.services_by_name["OrderCoreService"],
            order_core_api_pb2_grpc.add_OrderCoreServiceServicer_to_server,
        ),
        USER_DATA,
    ),
    build=build,
    demo=load_demo,
)
