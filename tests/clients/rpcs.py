"""Every RPC of the contracts, and the names that the clients give it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import Default
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ridehail.common.v1 import error_reason_pb2
from tests.clients.cases.all_cases import example_of

DESCRIPTORS = Path(error_reason_pb2.__file__).parents[2] / "descriptors.binpb"


@dataclass(frozen=True)
class Rpc:
    """An RPC and the names that the clients have to give it."""

    descriptor: MethodDescriptor

    @property
    def name(self) -> str:
        return f"{self.descriptor.containing_service.name}/{self.descriptor.name}"

    @property
    def client(self) -> str:
        return f"{self.descriptor.containing_service.name.removesuffix('Service')}Client"

    @property
    def method(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.descriptor.name).lower()

    @property
    def example(self) -> dict[str, Any]:
        return example_of(self.name)

    def request(self, json: dict[str, Any]) -> Message:
        """Returns the request that this JSON is of."""
        return ParseDict(json, GetMessageClass(self.descriptor.input_type)())

    def response(self, json: dict[str, Any]) -> Message:
        """Returns the response whose JSON this is."""
        return ParseDict(json, GetMessageClass(self.descriptor.output_type)())


def all_rpcs() -> list[Rpc]:
    """Returns every RPC of the descriptor set that ships with the contracts."""
    packaged = FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    return [
        Rpc(Default().FindServiceByName(f"{file.package}.{service.name}").methods_by_name[method.name])
        for file in packaged.file
        if file.package.startswith("ridehail.")
        for service in file.service
        for method in service.method
    ]


def rpc_named(name: str) -> Rpc:
    """Returns the RPC of this service and method, as in `TollRoadsService/SaveOffer`."""
    return next(rpc for rpc in all_rpcs() if rpc.name == name)
