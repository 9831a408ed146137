"""A server in a process of its own, one of several behind one target, that a test drains, hangs, ends and restarts.

The order `missing` is not found; every other order has the road of the replica, so that the caller sees which replica
has responded.
"""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from tests.support.fork_server import fork_server
from tests.support.ports import unused_port
from tests.support.waiting import LIMIT_S


@dataclass
class Replica:
    has_toll_road: bool
    process: BaseProcess
    address: str
    says: Connection

    @classmethod
    def start(cls, *, has_toll_road: bool, address: str = "") -> Replica:
        """Starts one, and returns once it accepts calls."""
        address = address or f"127.0.0.1:{unused_port()}"
        context = fork_server()
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_main, args=(address, has_toll_road, theirs), daemon=True)
        process.start()
        theirs.close()
        assert ours.recv() == "serves"
        return cls(has_toll_road, process, address, ours)

    def restarted(self) -> Replica:
        """Starts a new one at the address of this one, which has ended."""
        return self.start(has_toll_road=self.has_toll_road, address=self.address)

    def drain(self) -> None:
        """Makes it report NOT_SERVING; it accepts calls until it is ended."""
        self._send(signal.SIGTERM)
        assert self.says.recv() == "draining"

    def end(self) -> None:
        """Ends it: calls under way may end, new ones are refused."""
        self._send(signal.SIGINT)
        self._ended()

    def hang(self) -> None:
        """Stops it where it is, with its connections open."""
        self._send(signal.SIGSTOP)

    def go_on(self) -> None:
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self._ended()

    def _send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def _ended(self) -> None:
        self.process.join(LIMIT_S)
        assert self.process.exitcode is not None


def _toll_roads(*, has_toll_road: bool) -> grpc.GenericRpcHandler:
    async def retrieve(
        request: api.RetrieveOrderRequest,
        context: grpc.aio.ServicerContext[api.RetrieveOrderRequest, api.RetrieveOrderResponse],
    ) -> api.RetrieveOrderResponse:
        if request.order_id == "missing":
            await context.abort(grpc.StatusCode.NOT_FOUND, "missing")
        return api.RetrieveOrderResponse(has_toll_road=has_toll_road)

    handler = grpc.unary_unary_rpc_method_handler(
        retrieve,
        request_deserializer=api.RetrieveOrderRequest.FromString,
        response_serializer=api.RetrieveOrderResponse.SerializeToString,
    )
    return grpc.method_handlers_generic_handler("ridehail.tollroads.v1.TollRoadsService", {"RetrieveOrder": handler})


def _main(address: str, has_toll_road: bool, says: Connection) -> None:
    asyncio.run(_serve(address, says, has_toll_road=has_toll_road))
    os._exit(0)


async def _serve(address: str, says: Connection, *, has_toll_road: bool) -> None:
    loop, drain, end = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, drain.set)
    loop.add_signal_handler(signal.SIGINT, end.set)
    server, healths = grpc.aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healths, server)
    server.add_generic_rpc_handlers((_toll_roads(has_toll_road=has_toll_road),))
    server.add_insecure_port(address)
    await server.start()
    says.send("serves")
    await drain.wait()
    await healths.enter_graceful_shutdown()
    says.send("draining")
    await end.wait()
    await server.stop(1)
