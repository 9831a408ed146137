"""Counts the requests that a Postgres gets, by what really goes over its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import conninfo

# What a client waits for a response after: a simple query, and the end of an extended one.
_REQUESTS = (b"Q", b"S")


@dataclass
class Wire:
    """Connections that go through here.

    Attributes:
        url: Of the database, by way of here.
        round_trips: How many requests were sent since the last `clear`.
        statements: How many statements those contained.
    """

    url: str = ""
    round_trips: int = 0
    statements: int = 0

    def clear(self) -> None:
        self.round_trips = self.statements = 0


@asynccontextmanager
async def wire_to(database_url: str, folder: Path) -> AsyncIterator[Wire]:
    """Passes connections on to a Postgres that listens on a Unix socket, for the length of the block.

    Args:
        database_url: Names the socket's folder as its host.
        folder: For a socket of one's own; its path must be short.
    """
    wire = Wire(conninfo.make_conninfo(database_url, host=str(folder)))
    parts = conninfo.conninfo_to_dict(database_url)
    name = f".s.PGSQL.{parts.get('port') or 5432}"

    async def serve(client: asyncio.StreamReader, responses: asyncio.StreamWriter) -> None:
        server, requests = await asyncio.open_unix_connection(f"{parts['host']}/{name}")
        await asyncio.gather(_pass_on(client, requests, wire), _copy(server, responses))

    async with await asyncio.start_unix_server(serve, folder / name) as listening:
        try:
            yield wire
        finally:
            listening.close()


async def _pass_on(client: asyncio.StreamReader, requests: asyncio.StreamWriter, wire: Wire) -> None:
    """Passes messages on, one by one; the first has no type."""
    header = 4
    try:
        while True:
            head = await client.readexactly(header)
            length = int.from_bytes(head[-4:])
            requests.write(head + await client.readexactly(length - 4))
            if header == 5:
                wire.round_trips += head[:1] in _REQUESTS
                wire.statements += head[:1] in {b"Q", b"E"}
            header = 5
    except asyncio.IncompleteReadError:
        requests.close()


async def _copy(server: asyncio.StreamReader, responses: asyncio.StreamWriter) -> None:
    while data := await server.read(65_536):
        responses.write(data)
    responses.close()
