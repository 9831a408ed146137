"""The rules that contracts state about requests (`buf.validate`)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from google.protobuf.message import DecodeError, Message
from protovalidate import Validator, Violation

from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import InvalidRequest, ResponseTooLarge
from ridehail_servers.chassis.methods import ServedMethod
from ridehail_servers.chassis.request_limits import check_bytes, check_values, rules_view
from ridehail_servers.chassis.timestamp_validation import malformed_timestamps
from ridehail_servers.chassis.unknown_fields import UNKNOWN_FIELDS, discard_unknown

from .base import Call, Handler, Layer, Response

# A request that is larger is worked on in steps between which other calls run.
_LARGE_BYTES = 8 * 1024
# Keeps the rules that it has compiled, for whatever the process serves.
_VALIDATOR = Validator()


class Validation(Layer):
    """Decodes the request, and refuses one that breaks a rule of its contract, naming every broken rule.

    Left to itself gRPC decodes before any interceptor runs, and fails what cannot be decoded with UNKNOWN and the
    decoder's own words. So it hands the bytes on, and they are read here, once it is settled who calls.

    What a call costs is settled before it is spent: the bytes are counted, then the values, then rules look at them. Of
    nearly all requests the quick check says enough; its cost is bounded by the rules themselves.
    """

    def __init__(self, requests: Iterable[type[Message]], *, max_response_bytes: int) -> None:
        self._max_response_bytes = max_response_bytes
        # Rules are compiled when first used, which takes milliseconds that no call should pay for.
        for request in requests:
            _VALIDATOR.collect_violations(rules_view(request)())

    async def around(self, call: Call, inner: Handler) -> Response:
        served = call.served
        encoded: bytes = call.request
        check_bytes(encoded, served.limits)
        try:
            call.request = request = served.request.FromString(encoded)
        except DecodeError:
            raise InvalidRequest(
                [FieldViolation("", "must be a message of the contract", "message.encoding")]
            ) from None
        violations: list[FieldViolation] = []
        if not served.is_plain(request):
            violations = await self._violations(served, request, encoded)
        if unknown := discard_unknown(request, call.metadata, encoded):
            UNKNOWN_FIELDS.labels(served.name, "refused" if served.is_internal_write else "ignored").inc()
            violations += unknown if served.is_internal_write else []
        if violations:
            raise InvalidRequest(violations)
        if len(encoded) > _LARGE_BYTES:
            await asyncio.sleep(0)
        response = await inner(call)
        if response.ByteSize() > self._max_response_bytes:
            raise ResponseTooLarge(self._max_response_bytes)
        return response

    async def _violations(self, served: ServedMethod, request: Message, encoded: bytes) -> list[FieldViolation]:
        """Counts the values of a request, in steps, then looks what its rules say of it."""
        steps = check_values(request, served.limits)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                unfit: list[FieldViolation] = end.value
                break
            await asyncio.sleep(0)
        if served.is_surely_valid(request):
            return unfit
        ruled = rules_view(served.request).FromString(encoded)
        broken = map(field_violation, _VALIDATOR.collect_violations(ruled))
        return [*malformed_timestamps(request), *unfit, *broken]


def field_violation(violation: Violation) -> FieldViolation:
    path = ""
    for element in violation.proto.field.elements if violation.proto.field else ():
        path += ("." if path else "") + element.field_name
        if element.subscript is not None:
            key = element.subscript.value
            path += f"[{key}]" if element.subscript.field == "index" else f'["{key}"]'
    return FieldViolation(path, violation.proto.message, violation.proto.rule_id)
