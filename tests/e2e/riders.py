"""Riders whose apps read and change their personal states all the time, through the gateway."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from ridehail_clients import AsyncPersonalStateClient, RevisionConflict, ServiceError, TariffSettings
from tests.support.harness import Harness
from tests.support.waiting import LIMIT_S

_READ_EACH_S = 0.4
# Longer than the copy takes to come by: riders seldom choose twice within a second.
_WRITE_EACH_S = 2.0
TARIFF = "econom"
SETTING = "child_seat"


class Failed(Exception):
    """The app gets an error that it cannot handle."""


class Refused(Exception):
    """The state is at another revision."""


@dataclass
class Rider:
    """A rider and their app.

    Attributes:
        uid: The rider.
        by_json: Whether the app speaks JSON; otherwise gRPC.
        last: What the rider's latest write has set.
        writes: How many were made.
        refused: How many were refused because the state was of another revision.
        failures: Whatever else went wrong.
    """

    harness: Harness
    uid: str
    by_json: bool
    last: int = 0
    writes: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)

    async def live(self, ended: asyncio.Event) -> None:
        """Reads, and sometimes writes, until it is stopped."""
        headers = self.harness.session(uid=self.uid)
        token = headers["authorization"].removeprefix("Bearer ")
        public = f"127.0.0.1:{self.harness.gateway.public_port}"
        clock = asyncio.get_running_loop().time
        write_at = clock() + (hash(self.uid) % 10) / 10
        async with AsyncPersonalStateClient(public, session_token=token) as client:
            while not ended.is_set():
                try:
                    revision = await self.read(client)
                    if clock() >= write_at:
                        write_at = clock() + _WRITE_EACH_S
                        await self.write(client, revision)
                except Refused:
                    self.refused += 1
                except (ServiceError, Failed, urllib.error.URLError) as error:
                    self.failures.append(repr(error))
                await asyncio.sleep(_READ_EACH_S)

    async def read(self, client: AsyncPersonalStateClient) -> str:
        """Returns the revision of the state."""
        if self.by_json:
            return str((await self._post({}))["revision_id"])
        return (await client.personal_state()).revision_id

    async def write(self, client: AsyncPersonalStateClient, revision: str) -> None:
        """Sets a value that was never set before."""
        value = self.last + 1
        if self.by_json:
            tariff = {"category": TARIFF, "requirements": {SETTING: value}}
            await self._post({"revision_id": revision, "tariffs": [tariff]})
        else:
            try:
                await client.personal_state(revision_id=revision, tariffs=[TariffSettings(TARIFF, {SETTING: value})])
            except RevisionConflict as error:
                raise Refused from error
        self.last = value
        self.writes += 1

    async def _post(self, body: object) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self.harness.gateway.public_port}/3.0/personalstate"
        request = urllib.request.Request(
            url, json.dumps(body).encode(), self.harness.session(uid=self.uid), method="POST"
        )

        def send() -> dict[str, Any]:
            with urllib.request.urlopen(request, timeout=LIMIT_S) as answer:
                answered: dict[str, Any] = json.loads(answer.read())
            return answered

        # A read that was not possible is repeated, as the client library does it.
        for pause_s in (None,) if body else (0.2, 0.4, 0.8, None):
            try:
                return await asyncio.to_thread(send)
            except urllib.error.HTTPError as error:
                with error:
                    if error.code == 409:
                        raise Refused from error
                    if error.code != 503 or pause_s is None:
                        raise Failed(error.read()) from error
                await asyncio.sleep(pause_s)
        raise AssertionError


@asynccontextmanager
async def living(riders: Sequence[Rider]) -> AsyncIterator[None]:
    """Lets the riders read and write for the length of the block."""
    ended = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for rider in riders:
            group.create_task(rider.live(ended))
        try:
            yield
        finally:
            ended.set()
