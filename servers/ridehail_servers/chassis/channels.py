"""The channels of a service to its dependencies."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import grpc

from ridehail_clients import BreakerObserver, open_async_channel

from .logs import get_logger
from .metrics import BREAKERS_OPEN
from .service_definition import ServiceDefinition
from .settings import ProcessSettings
from .tls import TlsFiles

logger = get_logger(__name__)


@asynccontextmanager
async def open_channels(
    definition: ServiceDefinition, settings: ProcessSettings
) -> AsyncIterator[dict[str, grpc.aio.Channel]]:
    """Opens a channel to each dependency for the length of the block."""
    credentials = None if settings.tls_dir is None else TlsFiles(settings.tls_dir).channel_credentials()
    async with AsyncExitStack() as stack:
        channels: dict[str, grpc.aio.Channel] = {}
        for dependency in definition.dependencies:
            channels[dependency] = open_async_channel(
                settings.addresses[dependency],
                credentials=credentials,
                server_name=dependency if credentials else None,
                breaker_observer=_breaker_observer(definition.name, dependency),
            )
            stack.push_async_callback(channels[dependency].close, None)
        yield channels


def _breaker_observer(service: str, dependency: str) -> BreakerObserver:
    """Returns what counts and logs the breakers of a dependency that open and close."""

    def observe(path: str, /, *, is_open: bool) -> None:
        method = path.removeprefix("/")
        gauge = BREAKERS_OPEN.labels(service, dependency, method)
        if is_open:
            gauge.inc()
            logger.warning("dependency gets no calls", dependency=dependency, method=method)
        else:
            gauge.dec()
            logger.info("dependency answers again", dependency=dependency, method=method)

    return observe
