"""Ports of this machine."""

from __future__ import annotations

import socket

from ridehail_servers.chassis.errors import Explained


class PortTaken(Explained):
    """Another process listens on the port."""


def reserve(host: str, port: int) -> socket.socket:
    """Reserves a port, or any free one for 0, for several processes that all bind it with SO_REUSEPORT.

    The returned socket is bound but does not listen, so it gets no connections; keep it open while the port is used.
    Raises PortTaken if another process has it.
    """
    try:
        # SO_REUSEPORT alone would share the port with another suite of the same user; a plain bind refuses that.
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
        reserved = socket.socket()
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved.bind((host, port))
    except OSError as error:
        raise PortTaken(f"port {port} on {host}: {error.strerror}") from error
    return reserved


def free_port(host: str, port: int) -> int:
    """Returns the port, or for 0 one that is free now. Raises PortTaken as `reserve` does."""
    with reserve(host, port) as reserved:
        return int(reserved.getsockname()[1])
