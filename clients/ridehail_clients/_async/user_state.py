"""Client of user state."""

from __future__ import annotations

from ridehail.userstate.v1 import user_state_api_pb2 as api
from ridehail.userstate.v1 import user_state_api_pb2_grpc as api_grpc
from ridehail_clients._async.personal_states import AsyncPersonalStatesClient
from ridehail_clients._messages import personal_state as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.json_values import JsonInput
from ridehail_clients.models import ComparedKind


class AsyncUserStateClient(AsyncPersonalStatesClient):
    """Reads and changes users' personal states, and compares answers: `ridehail.userstate.v1.UserStateService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "user-state"
    _api = api
    service = api.DESCRIPTOR.services_by_name["UserStateService"]

    def _connect(self) -> None:
        self._stub = api_grpc.UserStateServiceStub(self._channel)

    async def compare_jsons(
        self,
        *,
        request_id: str | None = None,
        kind: ComparedKind | None = None,
        old: JsonInput,
        new: JsonInput,
        old_status: int | None = None,
        new_status: int | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> None:
        """Compares what the two back ends answered to one request, and has the outcome counted. Never repeated.

        Args:
            request_id: The request, as logs name it; None: this call's own id.
            kind: What it was; None: a read.
            old: The old back end's body, any JSON.
            new: The new back end's body, any JSON.
            old_status: The old back end's HTTP status, 100 to 599; None: 200.
            new_status: The new back end's HTTP status, 100 to 599; None: 200.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            JsonMismatch: The answers differ.
            ValueError: A number in a body is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something in a body is no JSON value.
        """
        request = messages.compare_jsons_request(
            request_id=request_id, kind=kind, old=old, new=new, old_status=old_status, new_status=new_status
        )
        await self._transport.call(self._stub.CompareJsons, request, timeout=timeout, metadata=metadata)
