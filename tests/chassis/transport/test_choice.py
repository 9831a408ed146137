"""Who is asked for what only one transport has gets that one, or learns by name what the other lacks."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Collection
from importlib import metadata
from pathlib import Path
from typing import Any

import grpc
import pytest
from pydantic import ValidationError

from ridehail_servers.chassis.settings import TRANSPORT_VARIABLE, ServerTuning
from ridehail_servers.chassis.tls import TlsFiles
from ridehail_servers.chassis.transport import MethodHandlers, TransportUnfit, choose
from ridehail_servers.chassis.transport.grpcio import GrpcioTransport
from ridehail_servers.chassis.transport.native import NativeTransport
from tests.support.certificates import Authority
from tests.support.log_capture import LogCapture


def tuning(**given: Any) -> ServerTuning:
    return ServerTuning.model_validate(given)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, sockets: None) -> None:
    monkeypatch.delenv(TRANSPORT_VARIABLE, raising=False)


async def test_the_file_chooses_else_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(choose(tuning(transport="native"), None), NativeTransport)
    assert isinstance(choose(tuning(transport="grpcio"), None), GrpcioTransport)
    assert isinstance(choose(tuning(transport="auto"), None), NativeTransport)

    monkeypatch.setenv(TRANSPORT_VARIABLE, "native")
    assert isinstance(choose(tuning(), None), NativeTransport)
    assert isinstance(choose(tuning(transport="grpcio"), None), GrpcioTransport)
    monkeypatch.setenv(TRANSPORT_VARIABLE, "carrier pigeon")
    with pytest.raises(ValidationError):
        tuning()


async def test_the_age_of_connections_is_of_grpcio_only(log: LogCapture) -> None:
    asked = {"max_connection_age_s": 600}
    with pytest.raises(TransportUnfit, match="max_connection_age_s"):
        choose(tuning(transport="native", **asked), None)
    assert isinstance(choose(tuning(transport="auto", **asked), None), GrpcioTransport)
    assert "max_connection_age_s" in log.text


async def test_tls_is_of_grpcio_only(tmp_path: Path) -> None:
    tls = TlsFiles(Authority(tmp_path).folder("server", "toll-roads"))
    with pytest.raises(TransportUnfit, match="TLS"):
        choose(tuning(transport="native"), tls)
    assert isinstance(choose(tuning(transport="auto"), tls), GrpcioTransport)


@pytest.mark.parametrize("found", [None, "2.0.1"])
async def test_another_release_of_the_library_is_not_used(monkeypatch: pytest.MonkeyPatch, found: str | None) -> None:
    def version(_name: str) -> str:
        if found is None:
            raise metadata.PackageNotFoundError
        return found

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(TransportUnfit, match="h2corn 2"):
        choose(tuning(transport="native"), None)
    assert isinstance(choose(tuning(transport="auto"), None), GrpcioTransport)


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux only")
async def test_threads_of_native_leave_the_core_to_python() -> None:
    # In a process of its own: other libraries in Rust may have threads of the same name.
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", __name__, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert json.loads(printed.splitlines()[-1]) == {"python": os.SCHED_OTHER, "others": [os.SCHED_BATCH]}


class _NoHandlers(MethodHandlers):
    @property
    def paths(self) -> Collection[str]:
        return ()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> None:
        raise AssertionError


async def _print_policies() -> None:
    """Prints by which policies the threads run once the native transport serves."""
    transport = NativeTransport(tuning())
    await transport.start("127.0.0.1:0", _NoHandlers())
    own = {
        int(task.name) for task in Path("/proc/self/task").iterdir() if (task / "comm").read_text().startswith("tokio")
    }
    found = {"python": os.sched_getscheduler(0), "others": sorted({*map(os.sched_getscheduler, own)})}
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()
    await transport.stop(0, idle=_nothing)


async def _nothing() -> None:
    pass


if __name__ == "__main__":
    asyncio.run(_print_policies())
