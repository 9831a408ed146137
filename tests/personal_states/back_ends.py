"""The two back ends of personal states, called in the same words, and all that they keep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import Message

from ridehail.protocol.v1 import protocol_api_pb2 as protocol
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail_clients import (
    AsyncProtocolClient,
    AsyncUserStateClient,
    PersonalState,
    PersonalStateCopy,
    ServiceError,
    TariffSettings,
)
from tests.support.calls import call, failure_of
from tests.support.suite_in_process import SuiteInProcess

NAMES = ("user-state", "protocol")
STATE_TABLES = {"user-state": "user_state.personal_states", "protocol": "protocol.users"}

Client: TypeAlias = AsyncUserStateClient | AsyncProtocolClient
Settings: TypeAlias = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class BackEnd:
    """One of the two."""

    suite: SuiteInProcess
    name: str

    @property
    def api(self) -> Any:
        """The generated module of its contract."""
        return user_state if self.name == "user-state" else protocol

    @property
    def schema(self) -> str:
        return self.name.replace("-", "_")

    def path(self, method: str) -> str:
        service = "UserStateService" if self.name == "user-state" else "ProtocolService"
        return f"/{self.api.DESCRIPTOR.package}.{service}/{method}"

    @asynccontextmanager
    async def client(self, caller: str = "api-proxy", **options: Any) -> AsyncIterator[Client]:
        made = AsyncUserStateClient if self.name == "user-state" else AsyncProtocolClient
        # On a busy machine an attempt of less than a second would now and then be one too many.
        options = {"attempt_timeout": 30.0} | options
        async with made(self.suite.address, ticket=self.suite.ticket(caller), **options) as client:
            yield client

    async def get(self, uid: str = "400") -> PersonalState:
        async with self.client() as client:
            return await client.get_personal_state(yandex_uid=uid, timeout=10)

    async def update(
        self,
        revision: str,
        selected: str | None = None,
        tariffs: Settings | None = None,
        *,
        uid: str = "400",
        mock: bool = False,
    ) -> PersonalState:
        async with self.client() as client:
            return await client.update_personal_state(
                yandex_uid=uid,
                revision_id=revision,
                selected_category=selected,
                tariffs=settings(tariffs or {}),
                mock=mock,
                timeout=10,
            )

    async def refused(self, *arguments: Any, **named: Any) -> ServiceError:
        """Makes an update that must be refused."""
        try:
            await self.update(*arguments, **named)
        except ServiceError as error:
            return error
        raise AssertionError("the update succeeded")

    async def copies(self, **arguments: Any) -> tuple[PersonalStateCopy, ...]:
        async with self.client("admin") as admin:
            return await admin.list_personal_states(timeout=10, **arguments)

    async def take(self, *copies: PersonalStateCopy) -> int:
        async with self.client("admin") as admin:
            return await admin.import_personal_states(states=copies, timeout=10)

    async def failure(self, method: str, request: Message | bytes, caller: str = "api-proxy") -> ServiceError:
        """Makes a raw call that must fail."""
        async with grpc.aio.insecure_channel(self.suite.address) as channel:
            metadata = self.suite.metadata(caller, self.name)
            return await failure_of(channel, self.path(method), request, metadata=metadata)

    async def raw(self, method: str, request: Message | bytes, *metadata: tuple[str, str]) -> bytes:
        """Makes a raw call of api_proxy's."""
        async with grpc.aio.insecure_channel(self.suite.address) as channel:
            ticket = self.suite.metadata("api-proxy", self.name)
            return await call(channel, self.path(method), request, metadata=(*ticket, *metadata))

    async def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """Returns every row of every table of the schema, as text, and where every sequence of it stands."""
        relations = await self.suite.rows(
            """
            SELECT relname::text, relkind::text FROM pg_class
            WHERE relnamespace = %s::regnamespace AND relkind IN ('r', 'S') ORDER BY 1
            """,
            self.schema,
        )
        assert relations
        columns = {"r": "one::text", "S": "(last_value, is_called)::text"}
        return {
            str(name): await self.suite.rows(
                f'SELECT {columns[str(kind)]} FROM {self.schema}."{name}" AS one ORDER BY 1'
            )
            for name, kind in relations
        }


def settings(tariffs: Settings) -> tuple[TariffSettings, ...]:
    return tuple(TariffSettings(category, requirements) for category, requirements in tariffs.items())


def copy_of(uid: str, revision: int, selected: str = "", tariffs: Settings | None = None) -> PersonalStateCopy:
    return PersonalStateCopy(uid, str(revision), selected, settings(tariffs or {}))


def by_category(tariffs: Sequence[TariffSettings]) -> Settings:
    """Returns settings by category; each has to be there once."""
    found = {one.category: one.requirements for one in tariffs}
    assert len(found) == len(tariffs)
    return found
