"""A server in a process of its own, one of several behind one target, that a test drains, hangs, ends and restarts.

The order `missing` is not found; every other order has the road of the replica, so that the caller sees which replica
has responded.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import grpc
from grpc_health.v1 import health, health_pb2_grpc

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api

_ENDS_WITHIN_S = 30


@dataclass
class Replica:
    has_toll_road: bool
    process: subprocess.Popen[str]
    address: str

    @classmethod
    def start(cls, *, has_toll_road: bool, address: str = "127.0.0.1:0") -> Replica:
        """Starts one, and returns once it accepts calls."""
        process = subprocess.Popen(
            [sys.executable, "-m", __name__, address, str(int(has_toll_road))], stdout=subprocess.PIPE, text=True
        )
        return cls(has_toll_road, process, _line(process))

    def restarted(self) -> Replica:
        """Starts a new one at the address of this one, which has ended."""
        return self.start(has_toll_road=self.has_toll_road, address=self.address)

    def drain(self) -> None:
        """Makes it report NOT_SERVING; it accepts calls until it is ended."""
        self.process.send_signal(signal.SIGTERM)
        assert _line(self.process) == "draining"

    def end(self) -> None:
        """Ends it: calls under way may end, new ones are refused."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(_ENDS_WITHIN_S)

    def hang(self) -> None:
        """Stops it where it is, with its connections open."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(_ENDS_WITHIN_S)


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


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


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def _serve(address: str, *, has_toll_road: bool) -> None:
    loop, drain, end = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, drain.set)
    loop.add_signal_handler(signal.SIGINT, end.set)
    server, healths = grpc.aio.server(), health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healths, server)
    server.add_generic_rpc_handlers((_toll_roads(has_toll_road=has_toll_road),))
    port = server.add_insecure_port(address)
    await server.start()
    _write(f"127.0.0.1:{port}")
    await drain.wait()
    await healths.enter_graceful_shutdown()
    _write("draining")
    await end.wait()
    await server.stop(1)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], has_toll_road=bool(int(sys.argv[2]))))
    os._exit(0)
