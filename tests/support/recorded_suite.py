"""Every service of the suite behind the real interceptors, with handlers that only record that they were reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ridehail_servers import suite
from ridehail_servers.chassis import app
from ridehail_servers.chassis.clock import Clock, system_clock
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.service_definition import RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.settings import ProcessSettings
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.runtime.ports import reserve

Handler = Callable[[Message, Any], Awaitable[Message]]


class RecordingServicer:
    """Has a handler for every method of its services."""

    def __init__(self, reached: list[str]) -> None:
        self._reached = reached
        self._methods: dict[str, MethodDescriptor] = {}

    def serve(self, method: MethodDescriptor) -> None:
        self._methods[method.name] = method

    def __getattr__(self, name: str) -> Handler:
        method = self._methods[name]

        async def handle(_request: Message, _context: Any) -> Message:
            self._reached.append(f"{method.containing_service.full_name}/{method.name}")
            return GetMessageClass(method.output_type)()

        return handle


@dataclass
class RecordedSuite:
    """A running suite, and the methods whose handlers were reached."""

    channel: grpc.aio.Channel
    keys: KeyRing
    gateway_key: str
    reached: list[str] = field(default_factory=list)

    def metadata(self, source: str, destination: str, **issuer: Any) -> tuple[tuple[str, str], ...]:
        """Returns the metadata of a call for the passenger `uid`."""
        issue = TicketIssuer(self.keys, source, ttl=timedelta(minutes=5), **issuer).issue
        ticket = issue(destination, passenger=Identity("uid"))
        return (("x-ya-service-ticket", ticket),)


@asynccontextmanager
async def recorded_suite(
    *, keys_dir: Path, config_dir: Path, clock: Clock = system_clock
) -> AsyncIterator[RecordedSuite]:
    """Serves every method of the suite for the length of the block."""
    reached: list[str] = []
    with reserve("127.0.0.1", 0) as reserved:
        settings = ProcessSettings(
            services=tuple(suite.SERVICES),
            grpc_port=reserved.getsockname()[1],
            config_dir=config_dir,
            keys_dir=keys_dir,
            reflection=True,
            drain_notice_s=0,
        )
        definitions = [_recorded(definition, reached) for definition in suite.SERVICES.values()]
        async with app.build(definitions, settings) as built:
            server = app.Server(built, settings, clock=clock)
            port = await server.start()
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                gateway_key = (keys_dir / "gateway.key").read_text()
                yield RecordedSuite(channel, KeyRing(keys_dir / "tickets"), gateway_key, reached)
            await server.drain()


def _recorded(definition: ServiceDefinition, reached: list[str]) -> ServiceDefinition:
    @asynccontextmanager
    async def build(_context: ServiceContext) -> AsyncIterator[RunningService]:
        servicers = []
        for contract in definition.contracts:
            servicer = RecordingServicer(reached)
            for method in contract.descriptor.methods:
                servicer.serve(method)
            servicers.append(servicer)
        yield RunningService(servicers)

    return replace(definition, build=build, schema=None, configs={}, dependencies=())
