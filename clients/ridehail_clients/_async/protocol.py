"""Client of protocol, the old back end of personal states."""

from __future__ import annotations

from ridehail.protocol.v1 import protocol_api_pb2 as api
from ridehail.protocol.v1 import protocol_api_pb2_grpc as api_grpc
from ridehail_clients._async.personal_states import AsyncPersonalStatesClient


class AsyncProtocolClient(AsyncPersonalStatesClient):
    """Reads and changes users' personal states in the old back end: `ridehail.protocol.v1.ProtocolService`.

    The same as `AsyncUserStateClient` but for the comparison.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "protocol"
    _api = api
    service = api.DESCRIPTOR.services_by_name["ProtocolService"]

    def _connect(self) -> None:
        self._stub = api_grpc.ProtocolServiceStub(self._channel)
