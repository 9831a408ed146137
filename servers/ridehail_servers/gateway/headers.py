"""Which request headers pass the gateway, and which it strips."""

from __future__ import annotations

from typing import Final

from ridehail_kernel.metadata_keys import AUTHORIZATION_KEY, MOCK_WRITE_KEY, REQUEST_ID_KEY, TICKET_KEY
from ridehail_servers.chassis import passenger
from ridehail_servers.chassis.interceptors.auth import GATEWAY_KEY
from ridehail_servers.chassis.status import HTTP_STATUS_KEY
from ridehail_servers.chassis.tls import FORWARDED_KEY
from ridehail_servers.chassis.unknown_fields import UNKNOWN_MEMBERS_KEY

# The transcoder records the original request in these. Servers need neither, and a client could forge them.
ORIGINAL_REQUEST: Final = ("x-envoy-original-path", "x-envoy-original-method")
# Servers trust these: only the gateway may set them.
_ALWAYS_STRIPPED: Final = (
    *passenger.TRUSTED_KEYS,
    GATEWAY_KEY,
    HTTP_STATUS_KEY,
    UNKNOWN_MEMBERS_KEY,
    *ORIGINAL_REQUEST,
)
STRIPPED: Final = {"public": (*_ALWAYS_STRIPPED, TICKET_KEY), "internal": _ALWAYS_STRIPPED}

# Envoy sets this one itself, whatever the client says, and finds no route without it.
_FORWARDED_PROTO: Final = "x-forwarded-proto"
# Taken away last.
REMOVED_BY_ROUTES: Final = (*ORIGINAL_REQUEST, _FORWARDED_PROTO)
_PSEUDO: Final = (":authority", ":method", ":path", ":scheme")
_HTTP: Final = (*_PSEUDO, "content-length", "content-type", "transfer-encoding", _FORWARDED_PROTO)
_GRPC: Final = ("grpc-accept-encoding", "grpc-encoding", "grpc-timeout", "te")
_EVERYWHERE: Final = (*_HTTP, REQUEST_ID_KEY, passenger.LANGUAGE_KEY)
_BY_LISTENER: Final = {
    # For the authorizer, which takes it away.
    "public": (AUTHORIZATION_KEY,),
    "internal": (TICKET_KEY, MOCK_WRITE_KEY),
}


def known_headers(listener: str, *, tls: bool) -> dict[str, tuple[str, ...]]:
    """Returns the client headers that pass a listener: with JSON requests (`json`) and with native gRPC (`grpc`).

    Args:
        listener: "public" or "internal".
        tls: Whether the internal listener passes on its clients' certificates, in a header that it overwrites.
    """
    json = (*_EVERYWHERE, *_BY_LISTENER[listener])
    if tls and listener == "internal":
        json = (*json, FORWARDED_KEY)
    return {"json": json, "grpc": (*json, *_GRPC)}
