"""The rules that contracts state about requests (`buf.validate`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from protovalidate import Validator, Violation

from ridehail_servers.chassis.errors import FieldViolation, InvalidRequest
from ridehail_servers.chassis.methods import MethodTable
from ridehail_servers.chassis.moments import malformed_moments

from .base import Context, Response


class ValidationInterceptor(grpc.aio.ServerInterceptor):
    """Decodes the request, and refuses one that breaks a rule of its contract, naming every broken rule.

    Left to itself gRPC decodes before any interceptor runs, and answers what cannot be decoded with UNKNOWN and the
    decoder's own words. So the handler that is handed outwards takes bytes; who calls is settled before they are read.
    """

    def __init__(self, methods: MethodTable) -> None:
        """Prepares the interceptor.

        Args:
            methods: Whose requests it validates.
        """
        self._methods = methods
        self._validator = Validator()
        # Rules are compiled when first used, which takes milliseconds that no call should pay for.
        for served in methods.values():
            self._validator.collect_violations(served.request())

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:  # grpc.aio's own types
        """See grpc.aio.ServerInterceptor."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method not in self._methods:
            return handler

        async def validated(encoded: bytes, context: Context) -> Response:
            return await handler.unary_unary(self._validated(handler.request_deserializer, encoded), context)

        return grpc.unary_unary_rpc_method_handler(validated, response_serializer=handler.response_serializer)

    def _validated(self, decode: Callable[[bytes], Message], encoded: bytes) -> Message:
        try:
            request = decode(encoded)
        except DecodeError:
            raise InvalidRequest(
                [FieldViolation("", "must be a message of the contract", "message.encoding")]
            ) from None
        broken = [*malformed_moments(request), *map(_field_violation, self._validator.collect_violations(request))]
        if broken:
            raise InvalidRequest(broken)
        return request


def _field_violation(violation: Violation) -> FieldViolation:
    path = ""
    for element in violation.proto.field.elements if violation.proto.field else ():
        path += ("." if path else "") + element.field_name
        if element.subscript is not None:
            key = element.subscript.value
            path += f"[{key}]" if element.subscript.field == "index" else f'["{key}"]'
    return FieldViolation(path, violation.proto.message, violation.proto.rule_id)
