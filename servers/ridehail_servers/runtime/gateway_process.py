"""The gateway as a process of `ridehail up`."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ridehail_servers import suite
from ridehail_servers.gateway import api_docs
from ridehail_servers.gateway.configuration import GatewaySettings, render, render_tls_secrets
from ridehail_servers.gateway.envoy_program import envoy_command

from .data_dir import write_secret
from .supervisor import Process, StartFailed

NAME = "envoy"
_POLL_S = 0.05
_UNIX_SOCKET_LENGTH = 100


@dataclass(frozen=True)
class GatewayProcess:
    """A run's gateway.

    Attributes:
        upstream: `host:port` of the services.
        gateway_key: Proves to the passenger authorizer that a request is the gateway's.
        run_dir: For its configuration and the socket of its administration.
        log_dir: For its logs.
        authorizer: `host:port` of the passenger authorizer, or None for that of the services.
        tls_dir: Holds the certificate, or None for plain text.
    """

    host: str
    public_port: int
    internal_port: int
    upstream: str
    gateway_key: str
    run_dir: Path
    log_dir: Path
    authorizer: str | None = None
    tls_dir: Path | None = None
    health_check_timeout_s: float = 1.0

    @cached_property
    def admin_socket(self) -> Path:
        """The unix socket of Envoy's administration."""
        socket = self.run_dir / "envoy.sock"
        if len(bytes(socket)) <= _UNIX_SOCKET_LENGTH:
            return socket
        # A unix socket's path is 107 bytes at most; a deep data directory gets a short, private stand-in.
        return Path(tempfile.mkdtemp(prefix="ridehail-"), "envoy.sock")

    def process(self) -> Process:
        """Writes the configuration, readable by its owner only, and returns the process, not yet started."""
        docs = self.run_dir / "docs"
        settings = GatewaySettings.model_validate(
            {
                "public_host": self.host,
                "public_port": self.public_port,
                "internal_host": self.host,
                "internal_port": self.internal_port,
                "admin_socket": self.admin_socket,
                "upstreams": {
                    **dict.fromkeys(suite.SERVICES, self.upstream),
                    suite.AUTHORIZER: self.authorizer or self.upstream,
                },
                "gateway_key": self.gateway_key,
                "access_log": self.log_dir / "envoy-access.log",
                "tls_dir": self.tls_dir,
                "health_check_timeout_s": self.health_check_timeout_s,
                "docs_dir": docs if api_docs.write(docs) else None,
                "tls_secrets": None if self.tls_dir is None else self.run_dir,
            }
        )
        if self.tls_dir is not None:
            for name, text in render_tls_secrets(settings).items():
                write_secret(self.run_dir / name, text)
        file = self.run_dir / "envoy.yaml"
        write_secret(file, render(settings, suite.SERVICES.values()))
        return Process(NAME, envoy_command(file), None, self.log_dir / "envoy.log")

    async def wait_until_ready(self, *, within: float) -> None:
        """Waits until both listeners accept connections and every upstream counts as healthy."""
        try:
            async with asyncio.timeout(within):
                while not await self._is_ready():
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise StartFailed(f"the gateway is not ready (see {self.log_dir / 'envoy.log'})") from error

    async def _is_ready(self) -> bool:
        try:
            clusters = await self._query_admin("/clusters")
            for port in (self.public_port, self.internal_port):
                _, writer = await asyncio.open_connection(self.host, port)
                writer.close()
        except OSError:
            return False
        flags = [line for line in clusters.splitlines() if "::health_flags::" in line]
        return bool(flags) and all(line.endswith("::healthy") for line in flags)

    async def _query_admin(self, path: str) -> str:
        reader, writer = await asyncio.open_unix_connection(self.admin_socket)
        writer.write(f"GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n".encode())
        response = await reader.read()
        writer.close()
        return response.decode(errors="replace")
