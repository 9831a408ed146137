"""`ridehail up`: the whole suite on one machine, on real parts."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from ridehail_clients import open_async_channel, tls_from_dir
from ridehail_kernel.tls import CA, CERTIFICATE, KEY
from ridehail_servers import suite
from ridehail_servers.chassis import migrations
from ridehail_servers.chassis.background import cancelled, keep_running
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.extras import has_extra
from ridehail_servers.chassis.keys import GATEWAY_KEY_FILE, KeyRing, read_secrets
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.service_definition import Demo, Example
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import GATEWAY, TicketIssuer

from . import metrics_files
from .data_dir import DataDir
from .gateway_process import NAME as ENVOY
from .gateway_process import GatewayProcess
from .metrics_port import MetricsAddress, metrics_port
from .ports import free_port, reserve
from .postgres import EmbeddedPostgres, PostgresNotStarted
from .serve import stop_on_signals
from .supervisor import ChildSpec, StartFailed, Supervisor, child

logger = get_logger(__name__)

HOST = "127.0.0.1"
_HEALTHY_WITHIN_S = 60.0
_POLL_S = 0.05
# A single machine has no load balancer that must notice first.
_DRAIN_NOTICE_S = 0.0
_POSTGRES_CHECK_S = 0.5
_DEMO_TICKET = timedelta(minutes=1)
_CURL_FILES = (("cacert", CA), ("cert", CERTIFICATE), ("key", KEY))


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The command line of `ridehail up`; port 0 is any free one.

    `command` and `is_default_data_dir` say how the printed examples call this program again.
    """

    data_dir: Path
    config_dir: Path
    grpc_port: int
    http_port: int
    internal_http_port: int
    metrics_port: int
    workers: int
    cache_url: str | None
    demo: bool
    tls: bool
    log_level: str
    command: str
    is_default_data_dir: bool


async def up(options: UpOptions, *, progress: Callable[[str], None], report: Callable[[str], None]) -> None:
    """Runs the suite until SIGINT or SIGTERM, then stops every process it started.

    `progress` gets the name of each step, and `report` the ready line and with `demo` the commands to try.
    """
    stop = stop_on_signals()
    data = DataDir(options.data_dir)
    async with AsyncExitStack() as stack:
        stack.enter_context(data.taken())
        sources = suite.ticket_sources(options.config_dir)
        data.ensure_keys(sources)
        tls_dir = data.tls if options.tls else None
        if tls_dir is not None:
            from .throwaway_tls import write_throwaway_tls  # noqa: PLC0415 - few runs need it

            write_throwaway_tls(tls_dir, sorted({*suite.SERVICES, *sources, GATEWAY, "localhost"}), host=HOST)
        grpc_port = stack.enter_context(reserve(HOST, options.grpc_port)).getsockname()[1]
        authorizer_port = stack.enter_context(reserve(HOST, 0)).getsockname()[1]
        http_port = free_port(HOST, options.http_port)
        internal_port = free_port(HOST, options.internal_http_port)
        supervisor = Supervisor(started=data.remember_process)
        metrics_address = MetricsAddress(HOST, options.metrics_port, tls_dir)
        metrics = stack.enter_context(metrics_port(metrics_address, data.metrics, supervisor.pids))

        progress("starting Postgres")
        postgres = EmbeddedPostgres(data.postgres)
        admin_url = await asyncio.to_thread(postgres.start)
        stack.push_async_callback(asyncio.to_thread, postgres.stop)
        stack.push_async_callback(cancelled, asyncio.create_task(keep_running("Postgres", lambda: _restart(postgres))))
        progress("migrating")
        urls = await asyncio.to_thread(_prepare_schemas, admin_url)

        progress("starting the servers")
        address, authorizer_address = f"{HOST}:{grpc_port}", f"{HOST}:{authorizer_port}"
        settings = ProcessSettings(
            services=tuple(name for name in suite.SERVICES if name != suite.AUTHORIZER),
            host=HOST,
            grpc_port=grpc_port,
            config_dir=options.config_dir.resolve(),
            keys_dir=data.keys,
            database_urls=urls,
            addresses={**dict.fromkeys(suite.SERVICES, address), suite.AUTHORIZER: authorizer_address},
            archive_url=data.archive.as_uri() if has_extra("archive") else None,
            cache_url=options.cache_url,
            log_level=options.log_level,
            tls_dir=tls_dir,
            reflection=True,
            drain_notice_s=_DRAIN_NOTICE_S,
        )
        stack.push_async_callback(supervisor.stop)
        authorizer = settings.model_copy(update={"services": (suite.AUTHORIZER,), "grpc_port": authorizer_port})
        await _start_processes(supervisor, data, settings, authorizer, options.workers)

        progress("starting the gateway")
        gateway = GatewayProcess(
            host=HOST,
            public_port=http_port,
            internal_port=internal_port,
            upstream=address,
            gateway_key=read_secrets(data.keys / GATEWAY_KEY_FILE)[-1],
            run_dir=data.run,
            log_dir=data.logs,
            authorizer=authorizer_address,
            tls_dir=tls_dir,
        )
        await supervisor.start(gateway.process())
        # The gateway stops first: it takes no new calls while the servers behind it drain.
        stack.push_async_callback(supervisor.stop, ENVOY)
        await _wait_until_healthy(address, settings.services, tls_dir)
        await _wait_until_healthy(authorizer_address, authorizer.services, tls_dir)
        await gateway.wait_until_ready(within=_HEALTHY_WITHIN_S)
        http, internal_http = f"{HOST}:{http_port}", f"{HOST}:{internal_port}"
        examples: Sequence[Example] = ()
        if options.demo:
            progress("loading the demo world")
            examples = await _load_demo(options, data, address, http, internal_http)
        report(f"ready grpc={address} http={http} internal_http={internal_http} metrics={HOST}:{metrics}")
        if tls_dir is not None:
            files = " ".join(f"--{option} {shlex.quote(str(tls_dir / name))}" for option, name in _CURL_FILES)
            report(f"call it with https://, by curl with {files}")
        for example in examples:
            report(f"\n# {example.title}\n{example.command}")
        await stop.wait()
        progress("stopping")


async def _restart(postgres: EmbeddedPostgres) -> None:
    """Restarts Postgres when it dies, as an operator's service manager would."""
    while True:
        await asyncio.sleep(_POSTGRES_CHECK_S)
        try:
            if await asyncio.to_thread(postgres.ensure_running):
                logger.error("Postgres died and was started again")
        except PostgresNotStarted as error:
            logger.error("Postgres died and does not start", reason=str(error))


def _prepare_schemas(admin_url: str) -> dict[str, str]:
    """Migrates every schema, and returns the URL of each service's own role."""
    urls: dict[str, str] = {}
    for definition in suite.SERVICES.values():
        if definition.schema is not None:
            migrations.migrate(admin_url, definition.schema, definition.migrations_folder)
            urls[definition.name] = migrations.create_role(admin_url, definition.schema)
    return urls


async def _start_processes(
    supervisor: Supervisor, data: DataDir, settings: ProcessSettings, authorizer: ProcessSettings, workers: int
) -> None:
    environment = {metrics_files.VARIABLE: str(data.metrics)}
    serve = ChildSpec(role="serve", settings=settings)
    with_tasks = tuple(name for name in settings.services if suite.SERVICES[name].has_tasks)
    specs = {
        **{f"serve-{number}": serve for number in range(1, workers + 1)},
        "authorize-1": ChildSpec(role="serve", settings=authorizer),
        "work-1": ChildSpec(role="work", settings=settings.model_copy(update={"services": with_tasks})),
    }
    starts: list[Awaitable[None]] = [
        supervisor.start(child(name, spec, log=data.logs / f"{name}.log", environment=environment))
        for name, spec in specs.items()
    ]
    results = await asyncio.gather(*starts, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


async def _wait_until_healthy(address: str, services: Sequence[str], tls_dir: Path | None = None) -> None:
    names = [contract.descriptor.full_name for name in services for contract in suite.SERVICES[name].contracts]
    credentials = None if tls_dir is None else tls_from_dir(tls_dir)
    async with open_async_channel(address, credentials=credentials, health_check=False) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        try:
            async with asyncio.timeout(_HEALTHY_WITHIN_S):
                for name in names:
                    request = health_pb2.HealthCheckRequest(service=name)
                    while (await stub.Check(request)).status != health_pb2.HealthCheckResponse.SERVING:
                        await asyncio.sleep(_POLL_S)
        except (TimeoutError, grpc.aio.AioRpcError) as error:
            raise StartFailed("the servers do not report themselves healthy") from error


async def _load_demo(
    options: UpOptions, data: DataDir, address: str, http: str, internal_http: str
) -> Sequence[Example]:
    keys = KeyRing(data.keys / "tickets")
    demo = Demo(
        grpc_address=address,
        http_address=http,
        internal_http_address=internal_http,
        command=options.command,
        data_dir_option="" if options.is_default_data_dir else f" --data-dir {shlex.quote(str(options.data_dir))}",
        ticket=lambda source, destination: TicketIssuer(keys, source, ttl=_DEMO_TICKET).issue(destination),
        clock=system_clock,
    )
    examples: list[Example] = []
    for definition in suite.SERVICES.values():
        if definition.demo is not None:
            examples.extend(await definition.demo(demo))
    return examples
