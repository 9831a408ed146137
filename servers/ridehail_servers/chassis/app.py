"""One server process: builds its services, serves them, and drains them before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from ridehail_kernel import call_context

from .access import AccessPolicy
from .background import cancelled, keep_running
from .cache import Cache, open_cache
from .channels import open_channels
from .clock import Clock, system_clock
from .config import load
from .experiments import Experiments
from .health import SERVICE_NAME as HEALTH_SERVICE
from .health import Health
from .interceptors import (
    Admission,
    Authentication,
    Deadline,
    Errors,
    LayeredHandlers,
    OverloadLimit,
    ProcessCalls,
    Registrations,
    Telemetry,
    Validation,
)
from .keys import GATEWAY_KEY_FILE, KeyRing, read_secrets
from .live_config import RELOAD, LiveConfig, Reloadable, watch
from .logs import get_logger
from .methods import method_table
from .metrics import CONNECTIONS_RECLAIMED, DATABASE_UNREACHABLE, POOL_CONNECTIONS, POOL_WAITING
from .service_definition import RunningService, ServiceContext, ServiceDefinition, Storage
from .settings import ProcessSettings, ServerTuning
from .tickets import TicketIssuer, TicketVerifier
from .tls import TlsFiles
from .transport import choose

if TYPE_CHECKING:
    from .database import Database

logger = get_logger(__name__)

_FIRST_ATTEMPT_S = 2.0
_POOL_REPORT_S = 5.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Built:
    """The services of a process, ready to serve."""

    services: Sequence[tuple[ServiceDefinition, RunningService]]
    storages: Mapping[str, Storage]
    tuning: ServerTuning
    access: LiveConfig[AccessPolicy]


@asynccontextmanager
async def build(
    definitions: Sequence[ServiceDefinition], settings: ProcessSettings, *, clock: Clock = system_clock
) -> AsyncIterator[Built]:
    """Opens all that the services need for the length of the block.

    Raises:
        ConfigError: A configuration file is bad, or does not list a method that is served.
        KeysMissing: The key folder lacks keys, or the folder for TLS cannot be used.

    A database that does not respond, or whose schema is not up to date, is waited for as one that is lost later: calls
    fail, health says NOT_SERVING, and all is well soon after the database is.
    """
    tuning = load(settings.config_dir / "server.yaml", ServerTuning)
    experiments = Experiments(settings.config_dir / "flags.json")
    keys = KeyRing(settings.keys_dir / "tickets", verifies=False)
    served = [method.name for it in definitions for method in method_table(it).values()]
    access = LiveConfig(
        settings.config_dir / "access.yaml", AccessPolicy, check=lambda policy: policy.check_lists(served)
    )
    files: list[Reloadable] = [experiments, access]
    services: list[tuple[ServiceDefinition, RunningService]] = []
    storages: dict[str, Storage] = {}
    async with AsyncExitStack() as stack:
        cache: Cache | None = None
        if any(definition.needs_cache for definition in definitions):
            cache = await stack.enter_async_context(open_cache(settings.cache_url, tuning.cache))
        for definition in definitions:
            configs = {
                name: LiveConfig(settings.config_dir / name, model) for name, model in definition.configs.items()
            }
            files.extend(configs.values())
            if definition.schema is not None:
                storages[definition.name] = await stack.enter_async_context(_storage(definition, settings, tuning))
            if definition.dependencies:
                keys.signing_key(definition.name)
            context = ServiceContext(
                storage=storages.get(definition.name),
                configs=configs,
                experiments=experiments,
                clock=clock,
                channels=await stack.enter_async_context(open_channels(definition, settings)),
                tickets=TicketIssuer(keys, definition.name, clock=clock),
                keys_dir=settings.keys_dir,
                archive_url=settings.archive_url,
                cache=cache if definition.needs_cache else None,
            )
            # What it starts beside the calls is logged as its own.
            with call_context.call_context(service=definition.name):
                service = await stack.enter_async_context(definition.build(context))
            assert definition.has_tasks or not service.tasks
            services.append((definition, service))
        loops: Mapping[str, Callable[[], Awaitable[None]]] = {
            RELOAD: lambda: watch(files, look_every_s=tuning.reload_every_s),
            "report of pools": lambda: _report_pools(storages),
        }
        for name, loop in loops.items():
            stack.push_async_callback(cancelled, asyncio.create_task(keep_running(name, loop)))
        await _wait_for_databases(storages)
        yield Built(services, storages, tuning, access)


class Server:
    def __init__(self, built: Built, settings: ProcessSettings, *, clock: Clock = system_clock) -> None:
        """Registers every service behind the interceptors; raises `KeysMissing` for bad keys or TLS files."""
        self._tuning = built.tuning
        self._notice_s = built.tuning.drain_notice_s if settings.drain_notice_s is None else settings.drain_notice_s
        self._registrations = [_registered(*service) for service in built.services]
        self._admissions = _admissions(built)
        self._overload = OverloadLimit(self._admissions)
        self._tls = None if settings.tls_dir is None else TlsFiles(settings.tls_dir)
        tls = built.tuning.tls
        proofs = {method.by_gateway_key for one in self._registrations for method in one.methods.values()}
        keys = settings.keys_dir
        self._layers = (
            Telemetry(log_successes=built.tuning.log_successful_calls),
            Errors(),
            self._overload,
            Authentication(
                access=built.access,
                tickets=TicketVerifier(KeyRing(keys / "tickets"), clock=clock) if False in proofs else None,
                gateway_keys=read_secrets(keys / GATEWAY_KEY_FILE) if True in proofs else (),
                by_certificate=self._tls is not None and tls.client_certificates and tls.source_names,
            ),
            Deadline(),
            Validation(
                (served.request for one in self._registrations for served in one.methods.values()),
                max_response_bytes=built.tuning.max_message_bytes,
            ),
        )
        self._transport = choose(built.tuning, self._tls)
        # A contract that several services serve is named once.
        contracts: dict[str, list[Database]] = {}
        for definition, _service in built.services:
            databases = [built.storages[definition.name].database] if definition.name in built.storages else []
            for served in definition.contracts:
                contracts.setdefault(served.descriptor.full_name, []).extend(databases)
        self._health = Health(contracts, away_s=built.tuning.database_away_s)
        self._health.register(self._transport)
        if settings.reflection:
            named = reflection.aio.ReflectionServicer((*contracts, HEALTH_SERVICE, reflection.SERVICE_NAME))
            reflection_pb2_grpc.add_ServerReflectionServicer_to_server(named, self._transport)
        self._address = f"{settings.host}:{settings.grpc_port}"

    async def start(self) -> int:
        """Starts to serve; returns the port, or raises `RuntimeError` if it is taken."""
        handlers = await LayeredHandlers.create(self._layers, self._registrations, self._admissions)
        port = await self._transport.start(self._address, handlers)
        loops = {"report of admission": self._report_admission, "health": self._health.watch}
        self._loops = [asyncio.create_task(keep_running(name, loop)) for name, loop in loops.items()]
        self._health.start()
        return port

    async def drain(self) -> None:
        """Stops without losing a call.

        First balancers see NOT_SERVING and get the time to notice, then no call is accepted any more, then those under
        way end. Balancers' health watches never end by themselves, so they are cut once the calls are done.
        """
        self._health.drain()
        await asyncio.sleep(self._notice_s)
        await self._transport.stop(self._tuning.drain_grace_s, idle=self._quiet)
        # gRPC's server stops before the handlers that it cancelled have run their `finally`.
        while self._overload.in_flight:
            await asyncio.sleep(_POLL_S)
        for loop in self._loops:
            await cancelled(loop)

    async def _report_admission(self) -> None:
        while True:
            for admission in self._admissions.values():
                admission.report()
            await asyncio.sleep(_POOL_REPORT_S)

    async def _quiet(self) -> None:
        """Returns once no call has been under way for a while."""
        while await self._busy_within(self._tuning.drain_quiet_s):
            pass

    async def _busy_within(self, seconds: float) -> bool:
        """Returns whether a call is under way at any instant of the next `seconds`."""
        ends = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < ends:
            if self._overload.in_flight:
                await asyncio.sleep(_POLL_S)
                return True
            await asyncio.sleep(_POLL_S)
        return False


def _admissions(built: Built) -> dict[str, Admission]:
    process = ProcessCalls(built.tuning.max_calls_under_way, len(built.services))
    loads = {name: storage.database.load for name, storage in built.storages.items()}
    return {
        definition.name: Admission(definition.name, process, loads.get(definition.name), built.tuning.admission)
        for definition, _service in built.services
    }


def _registered(definition: ServiceDefinition, service: RunningService) -> Registrations:
    registered = Registrations(method_table(definition))
    for contract, servicer in zip(definition.contracts, service.servicers, strict=True):
        contract.register(servicer, registered)
    return registered


@asynccontextmanager
async def _storage(
    definition: ServiceDefinition, settings: ProcessSettings, tuning: ServerTuning
) -> AsyncIterator[Storage]:
    from .database import Database  # noqa: PLC0415 - the authorizer has none
    from .schema_version import shipped_migrations  # noqa: PLC0415
    from .tasks import TaskQueue  # noqa: PLC0415

    assert definition.schema is not None
    database = Database(
        settings.database_urls[definition.name],
        schema=definition.schema,
        settings=tuning.pool,
        application=definition.name,
        migrations=shipped_migrations(definition.migrations_folder),
    )
    with call_context.call_context(service=definition.name):
        database.start()
    try:
        yield Storage(database, TaskQueue(definition.name, database))
    finally:
        await database.close()


async def _wait_for_databases(storages: Mapping[str, Storage]) -> None:
    """Returns once each database was reached or turned out to be away, or after a while: so first calls find them."""
    attempts = [storage.database.wait_for_first_attempt() for storage in storages.values()]
    with suppress(TimeoutError):
        await asyncio.wait_for(asyncio.gather(*attempts), _FIRST_ATTEMPT_S)
    for name, storage in storages.items():
        if reason := storage.database.not_ready:
            logger.warning("not ready", service=name, reason=reason)


async def _report_pools(storages: Mapping[str, Storage]) -> None:
    for name in storages:
        CONNECTIONS_RECLAIMED.labels(name)  # of a counter that appears with its first event nobody sees that it grew
    while True:
        for name, storage in storages.items():
            stats = storage.database.stats()
            size, idle, connecting = stats["pool_size"], stats["pool_available"], stats["pool_connecting"]
            POOL_CONNECTIONS.labels(name, "idle").set(idle)
            POOL_CONNECTIONS.labels(name, "connecting").set(connecting)
            POOL_CONNECTIONS.labels(name, "busy").set(size - idle - connecting)
            POOL_WAITING.labels(name).set(stats["requests_waiting"])
            DATABASE_UNREACHABLE.labels(name).set(0 if storage.database.reachable else 1)
        await asyncio.sleep(_POOL_REPORT_S)
