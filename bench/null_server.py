"""A server whose only method does nothing: bare, or behind all of the chassis.

    python -m bench.null_server bare|chassis FOLDER PORT WORKERS

Serves until SIGTERM. FOLDER holds `config/` and `keys/`.
"""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import uvloop

from ridehail.tollroads.v1 import toll_roads_api_pb2 as api
from ridehail.tollroads.v1 import toll_roads_api_pb2_grpc as api_grpc
from ridehail_servers.chassis import logs
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.runtime.serve import stop_on_signals

_RESPONSE = api.RetrieveOrderResponse(has_toll_road=True)
_DRAIN_S = 1.0


class NullServicer(api_grpc.TollRoadsServiceServicer):
    async def RetrieveOrder(self, request: api.RetrieveOrderRequest, context: Any) -> api.RetrieveOrderResponse:  # noqa: ARG002, N802
        return _RESPONSE


def _null() -> NullServicer:
    return NullServicer()  # type: ignore[abstract]  # the other methods are not called


@asynccontextmanager
async def _build(_context: ServiceContext) -> AsyncIterator[RunningService]:
    yield RunningService((_null(),))


async def _bare(_folder: Path, port: int) -> None:
    stop = stop_on_signals()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 1)])
    api_grpc.add_TollRoadsServiceServicer_to_server(_null(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await stop.wait()
    await server.stop(_DRAIN_S)


async def _chassis(folder: Path, port: int) -> None:
    # The bare server does without.
    from ridehail_servers.chassis import app  # noqa: PLC0415
    from ridehail_servers.chassis.settings import ProcessSettings  # noqa: PLC0415

    stop = stop_on_signals()
    descriptor = api.DESCRIPTOR.services_by_name["TollRoadsService"]
    contract = Contract(descriptor, api_grpc.add_TollRoadsServiceServicer_to_server)
    definition = ServiceDefinition("toll-roads", (contract,), _build)
    settings = ProcessSettings(
        services=("toll-roads",),
        grpc_port=port,
        config_dir=folder / "config",
        keys_dir=folder / "keys",
        drain_notice_s=0,
    )
    async with app.build([definition], settings) as built:
        server = app.Server(built, settings)
        await server.start()
        await stop.wait()
        await server.drain()


_VARIANTS: dict[str, Callable[[Path, int], Coroutine[Any, Any, None]]] = {"bare": _bare, "chassis": _chassis}


def _serve(variant: str, folder: Path, port: int) -> None:
    logs.configure(service="bench")
    uvloop.run(_VARIANTS[variant](folder, port))


def main(variant: str, folder: Path, port: int, workers: int) -> None:
    if workers == 1:
        _serve(variant, folder, port)
        return
    spawning = multiprocessing.get_context("spawn")
    processes = [spawning.Process(target=_serve, args=(variant, folder, port)) for _ in range(workers)]
    for process in processes:
        process.start()

    def stop(*_: object) -> None:
        for process in processes:
            process.terminate()

    signal.signal(signal.SIGTERM, stop)
    for process in processes:
        process.join()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
