"""Wires order_provider: one contract, one set of tables, and as many services as there are names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from ridehail.orderprovider.v1 import order_provider_api_pb2, order_provider_api_pb2_grpc
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .demo import EATS_ORDER, GROCERY_ORDER, demo_of


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .provider_orders import ProviderOrders
    from .service import OrderProviderServicer
    from .store import ProviderOrderStore
    from .user_data_store import ProviderUserData

    assert context.storage is not None
    orders = ProviderOrders(database=context.storage.database, store=ProviderOrderStore(), clock=context.clock)
    yield RunningService(
        servicers=(OrderProviderServicer(orders), UserDataServicer(context.storage.database, ProviderUserData()))
    )


def definition(name: str, schema: str, *, demo_order: Mapping[str, Any]) -> ServiceDefinition:
    """Returns the definition of a service that stores orders, named as tickets name it ("eats-orders")."""
    return ServiceDefinition(
        name=name,
        schema=schema,
        migrations="order_provider",
        contracts=(
            Contract(
                order_provider_api_pb2.DESCRIPTOR.services_by_name["OrderProviderService"],
                order_provider_api_pb2_grpc.add_OrderProviderServiceServicer_to_server,
            ),
            USER_DATA,
        ),
        build=build,
        demo=demo_of(name, demo_order),
    )


EATS = definition("eats-orders", "eats_orders", demo_order=EATS_ORDER)
GROCERY = definition("grocery-orders", "grocery_orders", demo_order=GROCERY_ORDER)
