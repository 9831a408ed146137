"""The two back ends of personal states, called in the same words, and all that they keep."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
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
from tests.support.waiting import LIMIT_S

NAMES = ("user-state", "protocol")
STATE_TABLES = {"user-state": "user_state.personal_states", "protocol": "protocol.users"}

Client: TypeAlias = AsyncUserStateClient | AsyncProtocolClient
Settings: TypeAlias = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class BackEnd:
    """A running back end and its clients."""

    suite: SuiteInProcess
    name: str
    channel: grpc.aio.Channel
    api_proxy: Client
    admin: Client

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

    async def get(self, uid: str = "400") -> PersonalState:
        return await self.api_proxy.get_personal_state(yandex_uid=uid, timeout=LIMIT_S)

    async def update(
        self,
        revision: str,
        selected: str | None = None,
        tariffs: Settings | None = None,
        *,
        uid: str = "400",
        mock: bool = False,
    ) -> PersonalState:
        return await self.api_proxy.update_personal_state(
            yandex_uid=uid,
            revision_id=revision,
            selected_category=selected,
            tariffs=settings(tariffs or {}),
            mock=mock,
            timeout=LIMIT_S,
        )

    async def refused(self, *arguments: Any, **named: Any) -> ServiceError:
        """Makes an update that must be refused."""
        try:
            await self.update(*arguments, **named)
        except ServiceError as error:
            return error
        raise AssertionError("the update succeeded")

    async def copies(self, **arguments: Any) -> tuple[PersonalStateCopy, ...]:
        return await self.admin.list_personal_states(timeout=LIMIT_S, **arguments)

    async def take(self, *copies: PersonalStateCopy) -> int:
        return await self.admin.import_personal_states(states=copies, timeout=LIMIT_S)

    async def failure(self, method: str, request: Message | bytes, caller: str = "api-proxy") -> ServiceError:
        """Makes a raw call that must fail."""
        metadata = self.suite.metadata(caller, self.name)
        return await failure_of(self.channel, self.path(method), request, metadata=metadata)

    async def raw(self, method: str, request: Message | bytes, *metadata: tuple[str, str]) -> bytes:
        """Makes a raw call of api_proxy's."""
        ticket = self.suite.metadata("api-proxy", self.name)
        return await call(self.channel, self.path(method), request, metadata=(*ticket, *metadata))

    async def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """Returns every row of every table of the schema, as text, and the position of every sequence."""
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


@asynccontextmanager
async def back_ends_of(suite: SuiteInProcess) -> AsyncIterator[dict[str, BackEnd]]:
    """Opens clients of both back ends for the length of the block."""
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(suite.channel())
        yield {
            name: BackEnd(
                suite,
                name,
                channel,
                await stack.enter_async_context(client_of(suite, name, "api-proxy")),
                await stack.enter_async_context(client_of(suite, name, "admin")),
            )
            for name in NAMES
        }


def client_of(suite: SuiteInProcess, name: str, caller: str, **options: Any) -> Client:
    """Returns a client of a back end, with attempts long enough for a busy machine."""
    kind = AsyncUserStateClient if name == "user-state" else AsyncProtocolClient
    return kind(suite.address, ticket=suite.ticket(caller), **{"attempt_timeout": LIMIT_S} | options)


def settings(tariffs: Settings) -> tuple[TariffSettings, ...]:
    return tuple(TariffSettings(category, requirements) for category, requirements in tariffs.items())


def copy_of(uid: str, revision: int, selected: str = "", tariffs: Settings | None = None) -> PersonalStateCopy:
    return PersonalStateCopy(uid, str(revision), selected, settings(tariffs or {}))


def by_category(tariffs: Sequence[TariffSettings]) -> Settings:
    """Returns settings by category, after a check that each occurs once."""
    found = {one.category: one.requirements for one in tariffs}
    assert len(found) == len(tariffs)
    return found
