"""Client of riders' personal states."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail.apiproxy.v1 import api_proxy_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncPassengerClient
from ridehail_clients._messages import personal_state as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.models import PersonalState, TariffSettings


class AsyncPersonalStateClient(AsyncPassengerClient):
    """What a rider has set for rides: `ridehail.apiproxy.v1.PersonalStateService`, by the gateway.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "api-proxy"
    service = api.DESCRIPTOR.services_by_name["PersonalStateService"]

    def _connect(self) -> None:
        self._stub = api_grpc.PersonalStateServiceStub(self._channel)

    async def personal_state(
        self,
        *,
        revision_id: str | None = None,
        selected_category: str | None = None,
        tariffs: Sequence[TariffSettings] = (),
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> PersonalState:
        """Reads the rider's personal state; or, given a revision, changes it. Never repeated.

        Args:
            revision_id: The revision that the app saw; None: the state is only read.
            selected_category: The tariff to choose; empty: none; None: as before.
            tariffs: Settings that replace those of the same tariffs, at most 100, each category once.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The state, after the change if there is one.

        Raises:
            RevisionConflict: The state is of another revision: read it again and decide again.
            PersonalStateTooLarge: The state would become too large.
            InvalidRequest: A category is given twice, or settings without a revision.
            NeighbourUnavailable: No back end that may answer does. What became of a change is unknown: read the state.
            ValueError: A number in the settings is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something in the settings is no JSON value.
        """
        request = api.PersonalStateRequest(
            revision_id=revision_id, selected_category=selected_category, tariffs=messages.to_settings(tariffs)
        )
        answer = await self._transport.call(self._stub.PersonalState, request, timeout=timeout, metadata=metadata)
        return messages.personal_state(answer)
