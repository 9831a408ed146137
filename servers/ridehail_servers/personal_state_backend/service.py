"""The calls that the contracts of both back ends share. Their messages have the same fields."""

from __future__ import annotations

from typing import Any, Protocol

import grpc

from ridehail_servers.chassis.mock_write import is_mock_write
from ridehail_servers.chassis.timestamps import from_timestamp

from .codec import change_from, copies_from, copy_messages, state_fields
from .copies import StateCopies
from .state import PersonalState, StateChange

Context = grpc.aio.ServicerContext[Any, Any]


class States(Protocol):
    """The stored states of a back end."""

    async def of_user(self, yandex_uid: str) -> PersonalState: ...

    async def update(self, yandex_uid: str, change: StateChange, *, dry_run: bool) -> PersonalState: ...


class BackEndServicer:
    """A servicer of one of the two contracts; `api` is the contract's generated module."""

    api: Any  # two modules whose messages have the same names but no common type

    def __init__(self, states: States, copies: StateCopies) -> None:
        self._states = states
        self._copies = copies

    async def GetPersonalState(self, request: Any, context: Context) -> Any:
        state = await self._states.of_user(request.yandex_uid)
        return self.api.GetPersonalStateResponse(**state_fields(state))

    async def UpdatePersonalState(self, request: Any, context: Context) -> Any:
        dry_run = is_mock_write(context.invocation_metadata())
        state = await self._states.update(request.yandex_uid, change_from(request), dry_run=dry_run)
        return self.api.UpdatePersonalStateResponse(**state_fields(state))

    async def ListPersonalStates(self, request: Any, context: Context) -> Any:
        since = from_timestamp(request.changed_since) if request.HasField("changed_since") else None
        copies = await self._copies.list_page(request.after_yandex_uid, request.page_size, since)
        return self.api.ListPersonalStatesResponse(states=copy_messages(copies))

    async def ImportPersonalStates(self, request: Any, context: Context) -> Any:
        return self.api.ImportPersonalStatesResponse(stored=await self._copies.import_newer(copies_from(request)))
