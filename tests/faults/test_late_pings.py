"""Pings that a stalled server reads all at once are no reason to hang up on the client that sent them in good time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.support.suite_in_process import SuiteInProcess
from tests.support.waiting import LIMIT_S

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_SETTINGS, _PING, _GOAWAY = 4, 6, 7
_HEADER_BYTES = 9
_PINGS = 20


@pytest.fixture(scope="module")
def module_services() -> Sequence[str]:
    return ("order-core",)


def _frame(kind: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes([kind, 0]) + bytes(4) + payload


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Returns what the next answer to a ping holds; the connection must not end before it."""
    while True:
        header = await reader.readexactly(_HEADER_BYTES)
        payload = await reader.readexactly(int.from_bytes(header[:3], "big"))
        assert header[3] != _GOAWAY, payload
        if header[3] == _PING:
            return payload


async def test_pings_that_arrive_at_once_are_answered(running_suite: SuiteInProcess) -> None:
    host, port = running_suite.address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    pings = [number.to_bytes(8, "big") for number in range(_PINGS)]
    writer.write(_PREFACE + _frame(_SETTINGS) + b"".join(_frame(_PING, ping) for ping in pings))

    async with asyncio.timeout(LIMIT_S):
        assert [await _answer(reader) for _ in pings] == pings
        # The connection goes on.
        writer.write(_frame(_PING, b"one more"))
        assert await _answer(reader) == b"one more"
    writer.close()
