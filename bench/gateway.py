"""The gateway in front of measured servers: Envoy with one thread, configured as for `ridehail up`."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from ridehail_servers import suite
from ridehail_servers.gateway.configuration import GatewaySettings, render
from ridehail_servers.gateway.envoy_program import envoy_command
from ridehail_servers.runtime.ports import free_port

from .servers import HOST, NotStarted, Running, Servers, listens

_ENDS_WITHIN_S = 60.0
# All passengers come from one address.
_UNLIMITED = 1_000_000
_LIMITS = ("passenger_rate", "passenger_burst", "address_rate", "address_burst")


@contextmanager
def gateway(
    servers: Servers, name: str, *, services: Running, authorizer: Running, remembered_sessions: int
) -> Iterator[Running]:
    """Runs a gateway for the length of the block; yields its public listener.

    Args:
        name: Of its folder.
        services: Serves all services but the authorizer.
        remembered_sessions: See `GatewaySettings`.
    """
    folder = servers.folder / name
    folder.mkdir()
    port = free_port(HOST, 0)
    settings = GatewaySettings.model_validate(
        {
            "public_port": port,
            "internal_port": 0,
            "admin_socket": folder / "admin",
            "upstreams": {**dict.fromkeys(suite.SERVICES, services.address), suite.AUTHORIZER: authorizer.address},
            "gateway_key": (servers.folder / "keys" / "gateway.key").read_text().strip(),
            "access_log": folder / "access.log",
            "remembered_sessions": remembered_sessions,
            **dict.fromkeys(_LIMITS, _UNLIMITED),
        }
    )
    file, log = folder / "envoy.yaml", folder / "envoy.log"
    file.write_text(render(settings, suite.SERVICES.values()))
    with log.open("w") as output:
        process = subprocess.Popen(envoy_command(file), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        if not listens(process, port):
            raise NotStarted(f"the gateway does not start: {log.read_text()}")
        yield Running("http", f"{HOST}:{port}", psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(_ENDS_WITHIN_S)
