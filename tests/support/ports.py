"""Ports for programs that open them later, and again after a restart."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

_HOST = "127.0.0.1"
# Below those that systems give to whoever asks for any port: who asks for one meanwhile never gets these.
_PORTS = range(20_000, 32_000)
_claims: list[socket.socket] = []


def unused_port() -> int:
    """Returns a TCP port that is free, and that no other caller gets while this process runs.

    Each port that was returned is claimed by an UDP socket, which nobody else needs.
    """
    while True:
        port = random.choice(_PORTS)
        with suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((_HOST, port))
            claim = socket.socket(type=socket.SOCK_DGRAM)
            try:
                claim.bind((_HOST, port))
            except OSError:
                claim.close()
                continue
            _claims.append(claim)
            return port
