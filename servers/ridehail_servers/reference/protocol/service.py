"""The gRPC service of protocol."""

from __future__ import annotations

from ridehail.protocol.v1 import protocol_api_pb2, protocol_api_pb2_grpc
from ridehail_servers.personal_state_backend.service import BackEndServicer


class ProtocolServicer(BackEndServicer, protocol_api_pb2_grpc.ProtocolServiceServicer):
    """See ridehail/protocol/v1/protocol_api.proto."""

    api = protocol_api_pb2
