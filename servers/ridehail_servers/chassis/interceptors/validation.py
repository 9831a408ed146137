"""The rules that contracts state about requests (`buf.validate`)."""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError, Message
from protovalidate import Validator, Violation

from ridehail_servers.chassis.errors import FieldViolation, InvalidRequest
from ridehail_servers.chassis.moments import malformed_moments

from .base import Call, Handler, Layer, Response


class Validation(Layer):
    """Decodes the request, and refuses one that breaks a rule of its contract, naming every broken rule.

    Left to itself gRPC decodes before any interceptor runs, and answers what cannot be decoded with UNKNOWN and the
    decoder's own words. So it hands the bytes on, and they are read here, once it is settled who calls.
    """

    def __init__(self, requests: Iterable[type[Message]]) -> None:
        """Compiles the rules.

        Args:
            requests: The types that it validates.
        """
        self._validator = Validator()
        # Rules are compiled when first used, which takes milliseconds that no call should pay for.
        for request in requests:
            self._validator.collect_violations(request())

    async def around(self, call: Call, inner: Handler) -> Response:
        """See Layer."""
        call.request = self._validated(call.served.request, call.request)
        return await inner(call)

    def _validated(self, kind: type[Message], encoded: bytes) -> Message:
        try:
            request = kind.FromString(encoded)
        except DecodeError:
            raise InvalidRequest(
                [FieldViolation("", "must be a message of the contract", "message.encoding")]
            ) from None
        broken = [*malformed_moments(request), *map(field_violation, self._validator.collect_violations(request))]
        if broken:
            raise InvalidRequest(broken)
        return request


def field_violation(violation: Violation) -> FieldViolation:
    """Returns a broken rule as callers are told of it.

    Args:
        violation: As protovalidate tells of it.
    """
    path = ""
    for element in violation.proto.field.elements if violation.proto.field else ():
        path += ("." if path else "") + element.field_name
        if element.subscript is not None:
            key = element.subscript.value
            path += f"[{key}]" if element.subscript.field == "index" else f'["{key}"]'
    return FieldViolation(path, violation.proto.message, violation.proto.rule_id)
