"""Which transport a process serves by."""

from __future__ import annotations

from importlib import metadata
from typing import Literal

from ridehail_servers.chassis.errors import Explained
from ridehail_servers.chassis.logs import get_logger
from ridehail_servers.chassis.settings import ServerTuning
from ridehail_servers.chassis.tls import TlsFiles

from .base import Transport

logger = get_logger(__name__)

_LIBRARY = "h2corn"
# The one that tests and measurements are of.
_VERSION = "2.0.0"


class TransportUnfit(Explained):
    """The transport that `server.yaml` names lacks what the process is asked for."""


def choose(tuning: ServerTuning, tls: TlsFiles | None) -> Transport:
    """Returns the transport that `server.yaml` chooses; raises `TransportUnfit` if that lacks what is asked for."""
    lacks = None if tuning.transport == "grpcio" else _lack_of_native(tuning, tls=tls is not None)
    if tuning.transport == "native" and lacks is not None:
        raise TransportUnfit(f"server.yaml: transport: native {lacks}; set it to grpcio, or to auto")
    chosen = chosen_transport(tuning, tls=tls is not None)
    logger.info("transport chosen", transport=chosen, reason=lacks or tuning.transport)
    if chosen == "native":
        from .native_check import TriedNativeTransport  # noqa: PLC0415 - its library may be missing

        return TriedNativeTransport(tuning)
    from .grpcio import GrpcioTransport  # noqa: PLC0415

    credentials = None if tls is None else tls.server_credentials(client_certificates=tuning.tls.client_certificates)
    return GrpcioTransport(tuning, credentials)


def chosen_transport(tuning: ServerTuning, *, tls: bool) -> Literal["grpcio", "native"]:
    """Returns the transport of a server with or without TLS."""
    return "grpcio" if tuning.transport == "grpcio" or _lack_of_native(tuning, tls=tls) is not None else "native"


def _lack_of_native(tuning: ServerTuning, *, tls: bool) -> str | None:
    if tls:
        return "does not renew certificates, so it serves no TLS"
    if tuning.max_connection_age_s is not None:
        return "does not close connections by age, which max_connection_age_s asks for"
    try:
        found = metadata.version(_LIBRARY)
    except metadata.PackageNotFoundError:
        return f"needs {_LIBRARY} {_VERSION}, which is not installed"
    if found != _VERSION:
        return f"is proven with {_LIBRARY} {_VERSION}, and {found} is installed"
    return None
