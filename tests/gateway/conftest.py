"""A gateway as in production: Envoy on the rendered configuration, the real authorizer, and servers that record."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import google.rpc
import grpc
import grpc_tools
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.protobuf.descriptor import FileDescriptor
from pydantic import SecretStr

from ridehail.ordercore.v1 import order_core_api_pb2
from ridehail.tollroads.v1 import toll_roads_api_pb2
from ridehail_servers.chassis import app
from ridehail_servers.chassis.keys import KeyRing, create_key_pair
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.gateway.configuration import GatewaySettings, default_descriptor_set, render
from ridehail_servers.passenger_authorizer.definition import definition as authorizer_definition
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token
from ridehail_servers.runtime.data_dir import write_secret
from tests.gateway.envoy_process import Listener, RunningEnvoy, running_envoy
from tests.gateway.upstream import Upstream, serving
from tests.support.config_edits import LENIENT_SERVER
from tests.support.loop_thread import LoopThread, loop_thread
from tests.support.waiting import LIMIT_S

ROOT = Path(__file__).parents[2]
GATEWAY_KEY = "a-key-with-100%-of-all-trouble"


def _no_build(_context: ServiceContext) -> AbstractAsyncContextManager[RunningService]:
    raise AssertionError("only the contracts of this definition are used")


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    # Not under pytest's own folder: the path of a unix socket has 107 bytes.
    with TemporaryDirectory(prefix="gw-", dir="/tmp") as path:
        yield Path(path)


@pytest.fixture(scope="session")
def descriptor_set(folder: Path) -> Path:
    """The suite's descriptor set with `sample.proto` added."""
    written = folder / "descriptors.binpb"
    google_apis = Path(google.rpc.__file__ or next(iter(google.rpc.__path__))).parents[2]
    includes = (ROOT / "proto", google_apis, Path(grpc_tools.__file__).parent / "_proto", Path(__file__).parent)
    sample = folder / "sample.binpb"
    subprocess.run(
        (
            *(sys.executable, "-m", "grpc_tools.protoc", f"--descriptor_set_out={sample}"),
            *(f"-I{include}" for include in includes),
            "sample.proto",
        ),
        check=True,
    )
    written.write_bytes(default_descriptor_set().read_bytes() + sample.read_bytes())
    return written


@pytest.fixture(scope="session")
def sample(descriptor_set: Path) -> FileDescriptor:
    files = descriptor_pb2.FileDescriptorSet.FromString(descriptor_set.read_bytes()).file
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(next(file for file in files if file.name == "sample.proto").SerializeToString())
    return pool.FindFileByName("sample.proto")


@pytest.fixture(scope="session")
def definitions(sample: FileDescriptor) -> list[ServiceDefinition]:
    """A suite of test contracts with the real authorizer."""
    toll_roads = toll_roads_api_pb2.DESCRIPTOR.services_by_name
    order_core = order_core_api_pb2.DESCRIPTOR.services_by_name
    contracts = {
        "toll-roads": (toll_roads["TollRoadsService"], toll_roads["PassengerTollRoadsService"]),
        "order-core": (order_core["OrderCoreService"],),
        "sample": (sample.services_by_name["PassengerSampleService"], sample.services_by_name["PassengerNewService"]),
    }
    return [
        *(
            ServiceDefinition(name, tuple(Contract(service, lambda *_: None) for service in services), build=_no_build)
            for name, services in contracts.items()
        ),
        authorizer_definition(
            {
                "ridehail.tollroads.v1.PassengerTollRoadsService": "toll-roads",
                "ridehail.gatewaysample.v1.PassengerSampleService": "sample",
            }
        ),
    ]


@pytest.fixture(scope="session")
def keys_dir(folder: Path) -> Path:
    keys = folder / "keys"
    for kid in ("1", "2"):
        create_key_pair(keys / "sessions", f"sessions-{kid}")
        for source in ("gateway", "api-proxy", "toll-roads"):
            create_key_pair(keys / "tickets" / source, f"{source}-{kid}")
    write_secret(keys / "gateway.key", GATEWAY_KEY)
    return keys


@pytest.fixture(scope="session")
def config_dir(folder: Path) -> Path:
    config = folder / "config"
    config.mkdir()
    (config / "sessions.yaml").write_text("{}\n")
    (config / "server.yaml").write_text(LENIENT_SERVER + "log_successful_calls: false\n")
    (config / "flags.json").write_text('{"flags": {}}')
    (config / "access.yaml").write_text(
        "callers: [gateway]\nmethods: {envoy.service.auth.v3.Authorization/Check: [gateway]}\n"
    )
    return config


@pytest.fixture(scope="session")
def loop(sockets: None) -> Iterator[LoopThread]:
    with loop_thread() as thread:
        yield thread


@dataclass(frozen=True)
class Servers:
    """The servers behind the gateway."""

    upstream: Upstream
    authorizer_address: str


@pytest.fixture(scope="session")
def servers(
    loop: LoopThread, definitions: list[ServiceDefinition], keys_dir: Path, config_dir: Path
) -> Iterator[Servers]:
    upstream = Upstream()
    stack = AsyncExitStack()
    *recorded, authorizer = definitions

    async def start() -> int:
        services = [contract.descriptor for definition in recorded for contract in definition.contracts]
        await stack.enter_async_context(serving(upstream, services))
        settings = ProcessSettings(
            services=(authorizer.name,), config_dir=config_dir, keys_dir=keys_dir, drain_notice_s=0
        )
        server = app.Server(await stack.enter_async_context(app.build([authorizer], settings)), settings)
        port = await server.start()
        stack.push_async_callback(server.drain)
        return port

    port = loop.run(start())
    try:
        yield Servers(upstream, f"127.0.0.1:{port}")
    finally:
        loop.run(stack.aclose())


@pytest.fixture(scope="session")
def settings(folder: Path, descriptor_set: Path, servers: Servers) -> GatewaySettings:
    return GatewaySettings(
        public_port=0,
        internal_port=0,
        admin_socket=folder / "admin",
        upstreams={
            **dict.fromkeys(("toll-roads", "order-core", "sample"), servers.upstream.address),
            "passenger-authorizer": servers.authorizer_address,
        },
        gateway_key=SecretStr(GATEWAY_KEY),
        descriptor_set=descriptor_set,
        access_log=folder / "access.log",
        health_check_interval_s=0.2,
        health_check_timeout_s=LIMIT_S,
        # Tests of other things must not meet it.
        passenger_rate=1_000_000,
        passenger_burst=1_000_000,
        address_rate=1_000_000,
        address_burst=1_000_000,
        passenger_bytes_rate=1_000_000_000,
        passenger_bytes_burst=1_000_000_000,
    )


@pytest.fixture(scope="session")
def gateway(folder: Path, settings: GatewaySettings, definitions: list[ServiceDefinition]) -> Iterator[RunningEnvoy]:
    with running_envoy(render(settings, definitions), folder) as envoy:
        yield envoy


@pytest.fixture
def upstream(servers: Servers) -> Upstream:
    servers.upstream.reset()
    return servers.upstream


@pytest.fixture
def public(gateway: RunningEnvoy) -> Listener:
    return gateway.public


@pytest.fixture
def internal(gateway: RunningEnvoy) -> Listener:
    return gateway.internal


@pytest.fixture(scope="session")
def session_keys(keys_dir: Path) -> KeyRing:
    return KeyRing(keys_dir / "sessions")


@pytest.fixture
def token(session_keys: KeyRing) -> str:
    """A valid session token with every claim."""
    return issue_session_token(
        session_keys,
        yandex_uid="4000000001999",
        user_id="user-1",
        family_role="owner",
        phone_id="phone-1",
        ttl=timedelta(hours=1),
        now=datetime.now(UTC),
    )


@pytest.fixture
def signed_in(token: str) -> dict[str, str]:
    """The header of a passenger."""
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
def channel() -> Iterator[Callable[[Listener], grpc.Channel]]:
    """Opens native gRPC channels to a listener."""
    opened: list[grpc.Channel] = []

    def open_channel(listener: Listener) -> grpc.Channel:
        opened.append(grpc.insecure_channel(listener.address))
        return opened[-1]

    yield open_channel
    for one in opened:
        one.close()
