"""What a test controls in a running service: reloads of its configuration, and its breakers."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc

from ridehail_clients.calls.failover import AsyncFailoverChannel
from ridehail_servers.chassis.experiments import Experiments
from ridehail_servers.chassis.live_config import LiveConfig, Reloadable
from ridehail_servers.chassis.service_definition import RunningService, ServiceContext, ServiceDefinition


@dataclass
class ServiceControls:
    """Controls of the service that a definition of `controlled` has built; `reload` reads `config_dir`."""

    config_dir: Path
    _files: list[Reloadable] = field(default_factory=list)
    _channels: list[grpc.aio.Channel] = field(default_factory=list)
    _taken: dict[Path, bytes] = field(default_factory=dict)

    def hold(self, files: list[Reloadable], channels: list[grpc.aio.Channel]) -> None:
        """Registers what the service has read and opened."""
        self._files, self._channels = files, channels
        self._taken = {one.file: one.file.read_bytes() for one in files}

    def reload(self) -> None:
        """Makes the service reload its configuration files, all of which must be good."""
        now = {one.file: one.file.read_bytes() for one in self._files}
        for one in self._files:
            if now[one.file] != self._taken[one.file]:
                assert one.reload(), f"{one.file} is bad"
        self._taken = now

    def close_breakers(self) -> None:
        """Closes every breaker and forgets the attempts that count towards one."""
        for channel in self._channels:
            if isinstance(channel, AsyncFailoverChannel) and channel.breakers is not None:
                channel.breakers.close()


def controlled(definition: ServiceDefinition, config_dir: Path) -> tuple[ServiceDefinition, ServiceControls]:
    """Returns a service that reloads its configuration only by its controls, and the controls.

    Args:
        definition: Of the service.
        config_dir: Copied: the chassis watches the files of the process.
    """
    controls = ServiceControls(Path(shutil.copytree(config_dir, config_dir / definition.name)))

    @asynccontextmanager
    async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
        configs = {name: LiveConfig(controls.config_dir / name, model) for name, model in definition.configs.items()}
        experiments = Experiments(controls.config_dir / "flags.json")
        controls.hold([*configs.values(), experiments], list(context.channels.values()))
        async with definition.build(replace(context, configs=configs, experiments=experiments)) as service:
            yield service

    return replace(definition, build=build), controls
