"""Comparisons by RPC, and what is kept of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from ridehail.userstate.v1 import user_state_api_pb2 as api
from ridehail_clients import AsyncUserStateClient, ComparedKind, JsonMismatch, ServiceError
from tests.support.calls import Metadata, failure_of
from tests.support.suite_in_process import SuiteInProcess

COMPARE = "/ridehail.userstate.v1.UserStateService/CompareJsons"


@dataclass(frozen=True)
class Comparing:
    """api_proxy as a client of the comparison."""

    suite: SuiteInProcess
    client: AsyncUserStateClient
    channel: grpc.aio.Channel

    @staticmethod
    @asynccontextmanager
    async def opened(suite: SuiteInProcess) -> AsyncIterator[Comparing]:
        ticket = suite.ticket("api-proxy")
        async with suite.channel() as channel, AsyncUserStateClient(suite.address, ticket=ticket) as client:
            yield Comparing(suite, client, channel)

    async def compare(
        self,
        old: Any,
        new: Any,
        *,
        kind: ComparedKind = ComparedKind.READ,
        statuses: tuple[int, int] = (200, 200),
        request_id: str = "request",
    ) -> dict[str, str]:
        """Returns the metadata of the mismatch, or an empty dict if the responses are equal."""
        try:
            await self.client.compare_jsons(
                request_id=request_id,
                kind=kind,
                old=old,
                new=new,
                old_status=statuses[0],
                new_status=statuses[1],
                timeout=20,
            )
        except JsonMismatch as mismatch:
            return dict(mismatch.metadata)
        return {}

    async def failure(self, request: api.CompareJsonsRequest | bytes, metadata: Metadata | None = None) -> ServiceError:
        """Makes a raw call that must fail."""
        ticket = self.suite.metadata("api-proxy", "user-state")
        return await failure_of(self.channel, COMPARE, request, metadata=ticket if metadata is None else metadata)

    async def counts(self) -> dict[tuple[object, object], object]:
        rows = await self.suite.rows(
            "SELECT kind::text, verdict::text, sum(count)::int FROM user_state.comparisons GROUP BY 1, 2"
        )
        return {(kind, verdict): count for kind, verdict, count in rows}

    async def mismatches(self, columns: str = "request_id") -> list[tuple[object, ...]]:
        return await self.suite.rows(f"SELECT {columns} FROM user_state.mismatches ORDER BY id")
