"""Which of the hosts in a connection string this process writes to: the one that has accepted its latest connection.

After a failover the old primary may hang, so that each attempt to connect to it costs seconds; or it goes on as if
nothing had happened, accepts connections, and can commit nothing. So the host that proved to be writable last is tried
first, and connections to any other are left.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import conninfo

_LISTS: Final = ("host", "hostaddr", "port")

Host = tuple[str, str]
"""Name or address, and port."""


class WritableHosts:
    """Several hosts, in the order in which they are tried."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:  # Any: as psycopg parses them
        lists = {name: str(parameters[name]).split(",") for name in _LISTS if parameters.get(name)}
        names, ports = lists.get("host") or lists["hostaddr"], lists.get("port") or ["5432"]
        self._lists = {name: values for name, values in lists.items() if len(values) > 1}
        self._hosts: list[Host] = [(name, ports[at % len(ports)]) for at, name in enumerate(names)]
        self._order = list(range(len(names)))
        self._search: asyncio.Task[None] | None = None

    def is_current(self, host: Host) -> bool:
        return self._hosts[self._order[0]] == host

    def accepted(self, connection: psycopg.AsyncConnection[Any]) -> Host:
        """Notes which host has accepted a new connection, and returns it."""
        host = (connection.info.host, str(connection.info.port))
        if host in self._hosts:
            at = self._hosts.index(host)
            self._order.remove(at)
            self._order.insert(0, at)
        return host

    def ordered(self, text: str, *, but_first: bool = False) -> str:
        """Returns a connection string with the hosts in this order, with the first or without it."""
        order = self._order[1:] if but_first else self._order
        lists = {name: ",".join(values[at] for at in order) for name, values in self._lists.items()}
        return conninfo.make_conninfo(text, **lists)

    def search(self, connect: Callable[[], Awaitable[object]]) -> None:
        """Has `connect` try the other hosts in the background, unless it does already."""

        async def search() -> None:
            with suppress(psycopg.Error):
                await connect()

        if self._search is None or self._search.done():
            # An empty context: it serves all calls, and is bound by no call's deadline.
            self._search = asyncio.create_task(search(), context=contextvars.Context())


@dataclass(frozen=True, slots=True)
class ConnectedHost:
    """The host of one connection, and the connection string that names it and others."""

    host: Host
    hosts: WritableHosts
    conninfo: str

    @property
    def is_left(self) -> bool:
        """Whether this process writes to another one by now."""
        return not self.hosts.is_current(self.host)


_known: Final[dict[tuple[Any, ...], WritableHosts]] = {}


def writable_hosts(text: str) -> WritableHosts | None:
    """Returns what this process knows of the hosts of a connection string, or None where there is nothing to know.

    There is only one, or the string leaves the order to chance, as for hosts that can all be written to.
    """
    parameters = conninfo.conninfo_to_dict(text)
    key = tuple(parameters.get(name) for name in _LISTS)
    if not any("," in str(value) for value in key[:2]) or parameters.get("load_balance_hosts") == "random":
        return None
    if key not in _known:
        _known[key] = WritableHosts(parameters)
    return _known[key]
