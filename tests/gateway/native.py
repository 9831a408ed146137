"""Native gRPC calls to the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from tests.support.waiting import LIMIT_S


@dataclass(frozen=True)
class Failure:
    code: grpc.StatusCode
    message: str
    trailing: Mapping[str, str | bytes]

    @property
    def reason(self) -> str:
        details = self.trailing["grpc-status-details-bin"]
        assert isinstance(details, bytes)
        status = status_pb2.Status.FromString(details)
        assert (status.code, status.message) == (self.code.value[0], self.message)
        info = error_details_pb2.ErrorInfo()
        assert status.details[0].Unpack(info)
        assert info.domain == "ridehail"
        return str(info.reason)


def call(channel: grpc.Channel, method: str, request: Message, metadata: Mapping[str, str] | None = None) -> bytes:
    """Returns the response to a unary call of `package.Service/Method`."""
    send = channel.unary_unary(
        f"/{method}", request_serializer=type(request).SerializeToString, response_deserializer=bytes
    )
    return send(request, metadata=tuple((metadata or {}).items()), timeout=LIMIT_S, wait_for_ready=False)


def failure(channel: grpc.Channel, method: str, request: Message, metadata: Mapping[str, str] | None = None) -> Failure:
    """Returns how a call fails; see `call`."""
    try:
        call(channel, method, request, metadata)
    except grpc.RpcError as error:
        trailing = {it.key: it.value for it in error.trailing_metadata() or ()}
        return Failure(error.code(), error.details() or "", trailing)
    raise AssertionError("the call succeeded")
