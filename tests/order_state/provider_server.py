"""A provider of orders of a test's own: it counts queries, and responds as badly as the test wants."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc

from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.orderprovider.v1 import order_provider_api_pb2 as order_provider
from ridehail.orderprovider.v1 import order_provider_pb2
from ridehail_kernel.json_values import to_struct

Context = grpc.aio.ServicerContext[Any, Any]


def order(
    orderid: str, status: str = "driving", *, sequence: int = 0, details: dict[str, Any] | None = None, **parts: str
) -> order_provider_pb2.ActiveOrder:
    """Returns an order under way, with the version of each part by name."""
    return order_provider_pb2.ActiveOrder(
        orderid=orderid,
        status=status,
        parts=parts,
        sequence=sequence,
        details=None if details is None else to_struct(details),
    )


@dataclass
class ProviderServer:
    """How a provider responds.

    Attributes:
        address: Where it listens.
        orders: Rider -> orders under way.
        can_make_more_orders: Its opinion, if it has one.
        no_more_orders_reason: Why not.
        failure: How it fails: a status code; None: it does not.
        silent: Whether it never responds.
        together: It responds once all who share this are queried.
        queries: How often it was queried about each rider.
        tickets: The ticket of each query.
    """

    address: str = ""
    orders: dict[str, list[order_provider_pb2.ActiveOrder]] = field(default_factory=dict)
    can_make_more_orders: bool | None = None
    no_more_orders_reason: str | None = None
    failure: grpc.StatusCode | None = None
    silent: bool = False
    together: asyncio.Barrier | None = None
    queries: Counter[str] = field(default_factory=Counter)
    tickets: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Lists no orders from now on, and begins to count again."""
        self.orders, self.queries, self.tickets = {}, Counter(), []
        self.can_make_more_orders = self.no_more_orders_reason = self.failure = None
        self.silent, self.together = False, None

    async def respond(self, kind: Any, uid: str, context: Context) -> Any:
        self.queries[uid] += 1
        self.tickets.append(str(dict(context.invocation_metadata() or ())["x-ya-service-ticket"]))
        if self.silent:
            await asyncio.sleep(60)
        if self.together is not None:
            await self.together.wait()
        if self.failure is not None:
            await context.abort(self.failure, f"no response about {uid}")
        return kind(
            orders=self.orders.get(uid, ()),
            can_make_more_orders=self.can_make_more_orders,
            no_more_orders_reason=self.no_more_orders_reason,
        )


@asynccontextmanager
async def provider_server() -> AsyncIterator[ProviderServer]:
    """Serves on any port, for the length of the block."""
    provider = ProviderServer()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        (
            _handler(
                "ridehail.ordercore.v1.OrderCoreService",
                order_core.ListActiveOrdersRequest,
                order_core.ListActiveOrdersResponse,
                provider,
            ),
            _handler(
                "ridehail.orderprovider.v1.OrderProviderService",
                order_provider.ListActiveOrdersRequest,
                order_provider.ListActiveOrdersResponse,
                provider,
            ),
        )
    )
    provider.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield provider
    finally:
        await server.stop(None)


def _handler(service: str, request_type: Any, response_type: Any, provider: ProviderServer) -> grpc.GenericRpcHandler:
    async def handle(request: Any, context: Context) -> Any:
        return await provider.respond(response_type, request.yandex_uid, context)

    method = grpc.unary_unary_rpc_method_handler(
        handle, request_deserializer=request_type.FromString, response_serializer=response_type.SerializeToString
    )
    return grpc.method_handlers_generic_handler(service, {"ListActiveOrders": method})
