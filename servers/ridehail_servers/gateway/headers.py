"""Which request headers pass the gateway, and which it strips."""

from __future__ import annotations

import re
from collections.abc import Collection
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
# Envoy itself reads or sets these; the others have whatever a client writes.
_CHECKED_BY_ENVOY: Final = (":method", ":scheme", "content-length", "transfer-encoding", _FORWARDED_PROTO)
_HTTP: Final = (*_PSEUDO, "content-length", "content-type", "transfer-encoding", _FORWARDED_PROTO)
GRPC_ONLY: Final = ("grpc-accept-encoding", "grpc-encoding", "grpc-timeout", "te")
"""What means something in native gRPC only."""
HEADERS_BYTES_KEY: Final = "x-ya-headers-bytes"
"""In this the gateway states to itself how large the headers of a request are; it goes no further."""
_EVERYWHERE: Final = (*_HTTP, REQUEST_ID_KEY, passenger.LANGUAGE_KEY)
_BY_LISTENER: Final = {
    # For the authorizer, which takes it away.
    "public": (AUTHORIZATION_KEY,),
    "internal": (TICKET_KEY, MOCK_WRITE_KEY),
}


def known_headers(listener: str, *, tls: bool) -> tuple[str, ...]:
    """Returns the client headers that pass a listener, those of native gRPC included.

    Args:
        listener: "public" or "internal".
        tls: Whether the internal listener passes on its clients' certificates, in a header that it overwrites.
    """
    forwarded = (FORWARDED_KEY,) if tls and listener == "internal" else ()
    return (*_EVERYWHERE, *_BY_LISTENER[listener], *forwarded, *GRPC_ONLY)


def free_headers(known: Collection[str]) -> tuple[str, ...]:
    """Returns those of the known headers whose values Envoy does not check, without native gRPC's own."""
    return tuple(name for name in known if name not in (*_CHECKED_BY_ENVOY, *GRPC_ONLY))


def others_regex(names: Collection[str]) -> str:
    """Returns a regular expression for all texts but these names; RE2 has no other way to say so."""
    tails: dict[str, set[str]] = {}
    for name in names:
        if name:
            tails.setdefault(name[0], set()).add(name[1:])
    branches = [f"{re.escape(first)}{others_regex(rest)}" for first, rest in sorted(tails.items())]
    branches.append(f"[^{''.join(map(re.escape, sorted(tails)))}].*" if tails else ".+")
    if "" not in names:
        branches.append("")
    return f"(?:{'|'.join(branches)})"
