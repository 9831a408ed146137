"""A server whose only method does nothing: bare, or behind all of the chassis.

    python -m bench.null_server bare|chassis FOLDER

Prints its port, and serves until its standard input ends. FOLDER holds `config/` and `keys/`.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import uvloop

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail_servers.chassis import app, logs
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.settings import ProcessSettings

_ANSWER = api.RetrieveOrderResponse(has_toll_road=True)


class NullServicer(api_grpc.TollRoadsServiceServicer):
    """Answers the same to everybody."""

    async def RetrieveOrder(self, request: api.RetrieveOrderRequest, context: Any) -> api.RetrieveOrderResponse:  # noqa: ARG002, N802
        """See the contract."""
        return _ANSWER


def _null() -> NullServicer:
    return NullServicer()  # type: ignore[abstract]  # the other methods are not called


@asynccontextmanager
async def _build(_context: ServiceContext) -> AsyncIterator[RunningService]:
    yield RunningService((_null(),))


async def _until_input_ends() -> None:
    await asyncio.to_thread(sys.stdin.read)


async def _bare() -> None:
    server = grpc.aio.server()
    api_grpc.add_TollRoadsServiceServicer_to_server(_null(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)
    await _until_input_ends()
    await server.stop(None)


async def _behind_the_chassis(folder: Path) -> None:
    descriptor = api.DESCRIPTOR.services_by_name["TollRoadsService"]
    contract = Contract(descriptor, api_grpc.add_TollRoadsServiceServicer_to_server)
    definition = ServiceDefinition("toll-roads", (contract,), _build)
    settings = ProcessSettings(
        services=("toll-roads",), config_dir=folder / "config", keys_dir=folder / "keys", drain_notice_s=0
    )
    async with app.build([definition], settings) as built:
        server = app.Server(built, settings)
        print(await server.start(), flush=True)
        await _until_input_ends()
        await server.drain()


if __name__ == "__main__":
    logs.configure(service="bench")
    uvloop.run(_bare() if sys.argv[1] == "bare" else _behind_the_chassis(Path(sys.argv[2])))
