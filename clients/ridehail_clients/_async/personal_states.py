"""What the clients of both back ends of personal states have in common: their contracts are the same."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ridehail_clients._async.service_client import AsyncInternalClient
from ridehail_clients._messages import personal_state as messages
from ridehail_clients.call_metadata import Metadata, mock_write_metadata
from ridehail_clients.models import PersonalState, PersonalStateCopy, TariffSettings


class AsyncPersonalStatesClient(AsyncInternalClient):
    """Reads, changes and copies users' personal states. The back ends' own clients name the contract."""

    # The generated module of one of two contracts, and a stub of it: alike, but of types that have nothing in common.
    _api: Any
    _stub: Any

    async def get_personal_state(
        self, *, yandex_uid: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> PersonalState:
        """Reads a user's personal state; that of a user who has set nothing is empty and of revision "0".

        Args:
            yandex_uid: The user.
            timeout: Seconds for the whole call.
            metadata: To send along.
        """
        request = self._api.GetPersonalStateRequest(yandex_uid=yandex_uid)
        answer = await self._transport.call(self._stub.GetPersonalState, request, timeout=timeout, metadata=metadata)
        return messages.personal_state(answer)

    async def update_personal_state(
        self,
        *,
        yandex_uid: str,
        revision_id: str,
        selected_category: str | None = None,
        tariffs: Sequence[TariffSettings] = (),
        mock: bool = False,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> PersonalState:
        """Changes a user's personal state, if it is still of the revision that the caller saw. Never repeated.

        Args:
            yandex_uid: The user.
            revision_id: The revision that the caller saw.
            selected_category: The tariff to choose; empty: none; None: as before.
            tariffs: Settings that replace those of the same tariffs, at most 100, each category once.
            mock: Whether all is undone in the end, so that only the answer is as if it had been done.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The state after it, of the next revision.

        Raises:
            RevisionConflict: The state is of another revision: read it again and decide again.
            PersonalStateTooLarge: The state would become too large.
            InvalidRequest: A category is given twice.
            ValueError: A number in the settings is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something in the settings is no JSON value.
        """
        request = self._api.UpdatePersonalStateRequest(
            yandex_uid=yandex_uid,
            revision_id=revision_id,
            selected_category=selected_category,
            tariffs=messages.to_settings(tariffs),
        )
        sent = mock_write_metadata(metadata) if mock else metadata
        answer = await self._transport.call(self._stub.UpdatePersonalState, request, timeout=timeout, metadata=sent)
        return messages.personal_state(answer)

    async def list_personal_states(
        self,
        *,
        after_yandex_uid: str = "",
        changed_since: datetime | None = None,
        page_size: int = 1000,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> tuple[PersonalStateCopy, ...]:
        """Lists states for copying.

        Args:
            after_yandex_uid: Only users whose uid comes after this one, as text; empty: from the first.
            changed_since: Only states that changed at this moment or later; None: all.
            page_size: States to return at most, 1 to 1000.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The states by user; fewer than `page_size`: there are no more.

        Raises:
            ValueError: The moment is naive.
        """
        request = self._api.ListPersonalStatesRequest(
            after_yandex_uid=after_yandex_uid,
            changed_since=messages.to_moment("changed_since", changed_since),
            page_size=page_size,
        )
        answer = await self._transport.call(self._stub.ListPersonalStates, request, timeout=timeout, metadata=metadata)
        return messages.personal_state_copies(answer)

    async def import_personal_states(
        self, *, states: Sequence[PersonalStateCopy], timeout: float | None = None, metadata: Metadata = ()
    ) -> int:
        """Stores copies of states, each if its revision is higher than that of the stored one.

        Args:
            states: The copies, 1 to 1000, each user once.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            How many were stored.
        """
        request = self._api.ImportPersonalStatesRequest(states=messages.to_copies(states))
        answer = await self._transport.call(
            self._stub.ImportPersonalStates, request, timeout=timeout, metadata=metadata
        )
        return int(answer.stored)
