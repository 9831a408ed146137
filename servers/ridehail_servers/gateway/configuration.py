"""Envoy's configuration: one template for a developer's machine and for production, filled from the contracts."""

from __future__ import annotations

import importlib.util
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, field_validator, model_validator

from ridehail_servers import resources
from ridehail_servers.chassis import passenger
from ridehail_servers.chassis.interceptors.auth import GATEWAY_KEY
from ridehail_servers.chassis.service_definition import ServiceDefinition
from ridehail_servers.chassis.status import DOMAIN, HTTP_STATUS_KEY, STATUS_DETAILS_KEY
from ridehail_servers.chassis.unknown_fields import UNKNOWN_MEMBERS_KEY

from . import api_docs, body_limits, headers, json_members, rate_limits, refusals
from .envoy_program import EnvoyError
from .routes import GatewayRoutes, gateway_routes

TEMPLATE: Final = "envoy.yaml.j2"
_TLS_TEMPLATE: Final = "envoy_tls.yaml.j2"
# Of a client. The servers accept twice as much metadata: Envoy adds its own, and gRPC counts 32 bytes more for each.
MAX_HEADERS_KIB: Final = 16
# For what the gateway adds, mostly a passenger's ticket: Envoy's limit includes it.
_ADDED_HEADERS_KIB: Final = 4
# Of protobuf, to become JSON; the servers' own limit is 4 MiB by default.
MAX_RESPONSE_BYTES: Final = 8 * 1024 * 1024
# Strangers must not take the last connections from the services.
_PUBLIC_SHARE: Final = 0.9
# For the call to the authorizer and sending the response, on top of the request's and the method's time.
_STREAM_OVERHEAD_S: Final = 10.0
# Of an expression for header names, in RE2's instructions.
_MAX_EXPRESSION: Final = 5_000
# From the authorizer to the gateway, for the error's body.
_ERROR_REASON: Final = "x-error-reason"

Port = Annotated[int, Field(ge=0, le=65535)]
Address = Annotated[str, StringConstraints(pattern=r"^(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}$")]


class UpstreamMissing(EnvoyError):
    """The settings lack the address of a service that the gateway calls."""


def default_descriptor_set() -> Path:
    """Returns the installed descriptor set of the contracts."""
    package = importlib.util.find_spec("ridehail")
    for folder in (package.submodule_search_locations or ()) if package else ():
        if (path := Path(folder, "descriptors.binpb")).is_file():
            return path
    raise FileNotFoundError("descriptors.binpb is not beside the generated package `ridehail`")


class GatewaySettings(BaseModel):
    """What differs between gateways. Holds a secret, and so does what is rendered from it.

    Attributes:
        public_host: The address to listen on for passengers' apps.
        public_port: 0 for any free port.
        internal_host: The address to listen on for other services.
        internal_port: 0 for any free port.
        admin_socket: Unix socket of Envoy's administration (at most 107 bytes), for the same user only ...
        admin_port: ... or its port of the loopback address. Exactly one of the two is given.
        metrics_host: The address to listen on for Prometheus, which gets `/stats/prometheus` of the administration ...
        metrics_port: ... and the port, or None for none.
        upstreams: Service of the suite -> `host:port`; surplus services are ignored.
        gateway_key: Proves to the passenger authorizer that a request is the gateway's.
        descriptor_set: A file; must hold the contracts of all services and google/rpc/error_details.proto.
        access_log: A file to append to.
        trusted_proxies: How many proxies in front of the gateway add to `x-forwarded-for`.
        request_timeout_s: How long a client may take to send a request.
        health_check_interval_s: Between two health checks of an upstream.
        max_connections: Clients' connections, of both listeners together; a tenth is kept for the internal listener.
        passenger_rate: Sustained requests a second of one passenger ...
        passenger_burst: ... and at once.
        address_rate: Requests a second from one client address (of IPv6 from one /64), valid sessions or not ...
        address_burst: ... and at once.
        connection_rate: Requests a second on one connection of the internal listener ...
        connection_burst: ... and at once.
        passenger_bytes_rate: Bytes a second of one passenger, in bodies of 4 KiB and more ...
        passenger_bytes_burst: ... and at once.
        internal_bytes_rate: Bytes a second from one address of the internal listener's clients, in such bodies ...
        internal_bytes_burst: ... and at once.
        remembered_sessions: Sessions that each worker remembers after the authorizer verified them; 0 for none.
        tls_dir: Holds `ca.pem`, `cert.pem` and `key.pem` where Envoy runs: TLS on both listeners and to all upstreams;
            clients of the internal listener need certificates. None for plain text.
        tls_secrets: Folder of the files of `render_tls_secrets` where Envoy runs. Given with `tls_dir` only.
        docs_dir: Folder of the files of `ridehail gateway docs` where Envoy runs. None for no page at /docs.
        max_heap_bytes: Near this much memory the gateway first closes connections, then refuses requests.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    public_host: str = "127.0.0.1"
    public_port: Port
    internal_host: str = "127.0.0.1"
    internal_port: Port
    admin_socket: Path | None = None
    admin_port: Port | None = None
    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = None
    upstreams: dict[str, Address]
    gateway_key: SecretStr = Field(min_length=16, max_length=256)
    descriptor_set: Path = Field(default_factory=default_descriptor_set)
    access_log: Path = Path("/dev/stdout")
    trusted_proxies: int = Field(default=0, ge=0)
    request_timeout_s: float = Field(default=10.0, gt=0)
    health_check_interval_s: float = Field(default=2.0, gt=0)
    health_check_timeout_s: float = Field(default=1.0, gt=0)
    max_connections: int = Field(default=10_000, ge=1)
    passenger_rate: int = Field(default=20, ge=1)
    passenger_burst: int = Field(default=200, ge=1)
    address_rate: int = Field(default=1000, ge=1)
    address_burst: int = Field(default=2000, ge=1)
    connection_rate: int = Field(default=2000, ge=1)
    connection_burst: int = Field(default=4000, ge=1)
    passenger_bytes_rate: int = Field(default=64 * 1024, ge=1)
    passenger_bytes_burst: int = Field(default=512 * 1024, ge=body_limits.MAX_BODY_BYTES)
    internal_bytes_rate: int = Field(default=16 * 1024**2, ge=1)
    internal_bytes_burst: int = Field(default=32 * 1024**2, ge=body_limits.MAX_BODY_BYTES)
    remembered_sessions: int = Field(default=10_000, ge=0, le=100_000)
    tls_dir: Path | None = None
    tls_secrets: Path | None = None
    docs_dir: Path | None = None
    max_heap_bytes: int = Field(default=1024**3, ge=64 * 1024**2)

    @model_validator(mode="after")
    def _one_private_admin_address(self) -> GatewaySettings:
        if (self.admin_socket is None) == (self.admin_port is None):
            raise ValueError("give either admin_socket or admin_port")
        return self

    @model_validator(mode="after")
    def _tls_by_files(self) -> GatewaySettings:
        if (self.tls_dir is None) != (self.tls_secrets is None):
            raise ValueError("give both tls_dir and tls_secrets, or neither")
        return self

    @field_validator("gateway_key")
    @classmethod
    def _can_be_a_header(cls, key: SecretStr) -> SecretStr:
        if not re.fullmatch(r"[!-~]*", key.get_secret_value()):
            raise ValueError("must be printable ASCII without spaces")
        return key


def render(settings: GatewaySettings, definitions: Iterable[ServiceDefinition]) -> str:
    """Returns Envoy's configuration as YAML, for all services of the suite and the passenger authorizer."""
    routes = gateway_routes(definitions)
    return (
        _templates()
        .get_template(TEMPLATE)
        .render(
            settings=settings,
            routes=routes,
            upstreams=_upstreams(settings, routes),
            stripped=headers.STRIPPED,
            known_headers={
                listener: headers.known_headers(listener, tls=settings.tls_dir is not None)
                for listener in headers.STRIPPED
            },
            free_headers=headers.free_headers,
            others_regex=headers.others_regex,
            max_expression=_MAX_EXPRESSION,
            grpc_only=headers.GRPC_ONLY,
            headers_bytes_header=headers.HEADERS_BYTES_KEY,
            removed_by_routes=headers.REMOVED_BY_ROUTES,
            helper_headers=(HTTP_STATUS_KEY, _ERROR_REASON),
            http_status_header=HTTP_STATUS_KEY,
            json_members={
                name: json_members.json_members(method.request for _binding, method in listener.http_routes)
                for name, listener in (("public", routes.public), ("internal", routes.internal))
            },
            docs_pages=api_docs.pages,
            max_docs_bytes=api_docs.MAX_FILE_BYTES,
            max_unknown_named=json_members.MAX_NAMED,
            unknown_members_header=UNKNOWN_MEMBERS_KEY,
            status_details_header=STATUS_DETAILS_KEY,
            error_domain=DOMAIN,
            error_reason_header=_ERROR_REASON,
            gateway_key_header=GATEWAY_KEY,
            passenger_header=passenger.UID_KEY,
            rate_limited=refusals.RATE_LIMITED,
            retry_after_s=refusals.RETRY_AFTER_S,
            too_many_values=refusals.TOO_MANY_VALUES,
            tracked_callers=rate_limits.TRACKED_CALLERS,
            max_public_connections=math.ceil(settings.max_connections * _PUBLIC_SHARE),
            max_headers_kib=MAX_HEADERS_KIB,
            added_headers_kib=_ADDED_HEADERS_KIB,
            ignored_body_bytes=body_limits.IGNORED_BODY_BYTES,
            max_body_bytes=body_limits.MAX_BODY_BYTES,
            counted_body_bytes=rate_limits.COUNTED_BODY_BYTES,
            max_response_bytes=MAX_RESPONSE_BYTES,
            max_stream_duration_s=settings.request_timeout_s + routes.longest_timeout_s + _STREAM_OVERHEAD_S,
        )
    )


def render_tls_secrets(settings: GatewaySettings) -> dict[str, str]:
    """Returns the content of the files in `tls_secrets` by name, which Envoy watches for new certificates."""
    template = _templates().get_template(_TLS_TEMPLATE)
    return {f"{secret}.yaml": template.render(settings=settings, secret=secret) for secret in ("own", "authorities")}


def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(resources.folder("deploy")),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, not HTML; values go through `tojson`
        keep_trailing_newline=True,
    )
    environment.filters["seconds"] = _seconds
    return environment


def _upstreams(settings: GatewaySettings, routes: GatewayRoutes) -> list[tuple[str, str, int]]:
    if missing := sorted(set(routes.clusters) - settings.upstreams.keys()):
        raise UpstreamMissing(f"no address of {', '.join(missing)}")
    split = ((name, *settings.upstreams[name].rsplit(":", 1)) for name in routes.clusters)
    return [(name, host.strip("[]"), int(port)) for name, host, port in split]


def _seconds(value: float) -> str:
    """Returns a protobuf Duration in JSON."""
    return f"{value:.3f}s"
