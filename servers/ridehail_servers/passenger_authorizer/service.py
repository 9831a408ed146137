"""The gRPC service that Envoy calls for every passenger's request (its filter `ext_authz`)."""

from __future__ import annotations

import base64
from typing import Any, Final

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from envoy.type.v3 import http_status_pb2
from google.rpc import status_pb2

from ridehail_kernel.metadata_keys import AUTHORIZATION_KEY, TICKET_KEY
from ridehail_servers.chassis.errors import Code, DomainError
from ridehail_servers.chassis.status import STATUS_DETAILS_KEY, status_of

from .authorizer import Allowed, Authorizer

# Under this name the gateway says which method a request is routed to, as in package.Service/Method.
METHOD_EXTENSION: Final = "method"
# Read by the gateway, which puts it into the JSON error and does not pass it on.
REASON_HEADER: Final = "x-error-reason"
# For the gateway, which remembers verdicts: what it was judged by; of a good session for how long, and the headers.
RULES_FIELD: Final = "rules"
REMEMBER_MS_FIELD: Final = "remember_ms"
HEADERS_FIELD: Final = "headers"

Context = grpc.aio.ServicerContext[Any, Any]
_HTTP_STATUS: Final = {
    Code.UNAUTHENTICATED: http_status_pb2.StatusCode.Unauthorized,
    Code.PERMISSION_DENIED: http_status_pb2.StatusCode.Forbidden,
}


class AuthorizationServicer(external_auth_pb2_grpc.AuthorizationServicer):  # type: ignore[misc]  # has no type information
    """See envoy/service/auth/v3/external_auth.proto."""

    def __init__(self, authorizer: Authorizer) -> None:
        self._authorizer = authorizer

    async def Check(self, request: external_auth_pb2.CheckRequest, context: Context) -> external_auth_pb2.CheckResponse:
        http = request.attributes.request.http
        # The gateway calls before JSON becomes gRPC, so it names the method beside the request. One of an older
        # configuration calls afterwards, when the path is the method's.
        method = request.attributes.context_extensions.get(METHOD_EXTENSION)
        rules = self._authorizer.rules()
        decision = self._authorizer.decide(
            authorization=http.headers.get(AUTHORIZATION_KEY), path=http.path if method is None else f"/{method}"
        )
        response = _allowed(decision) if isinstance(decision, Allowed) else _denied(decision)
        response.dynamic_metadata.fields[RULES_FIELD].string_value = rules
        return response


def _allowed(decision: Allowed) -> external_auth_pb2.CheckResponse:
    response = external_auth_pb2.CheckResponse(status=status_pb2.Status())
    ok, notes = response.ok_response, response.dynamic_metadata.fields
    notes[REMEMBER_MS_FIELD].number_value = int(decision.remember_s * 1000)
    remembered = notes[HEADERS_FIELD].struct_value.fields
    # Each one is set or removed, whatever the client sent.
    for name, value in {TICKET_KEY: decision.ticket, **decision.session.passenger.headers()}.items():
        if value:
            ok.headers.append(_header(name, value))
            remembered[name].string_value = value
        else:
            ok.headers_to_remove.append(name)
    ok.headers_to_remove.append(AUTHORIZATION_KEY)
    return response


def _denied(error: DomainError) -> external_auth_pb2.CheckResponse:
    details = status_of(error).SerializeToString()
    return external_auth_pb2.CheckResponse(
        status=status_pb2.Status(code=int(error.code), message=error.message),
        denied_response=external_auth_pb2.DeniedHttpResponse(
            status=http_status_pb2.HttpStatus(code=_HTTP_STATUS[error.code]),
            body=error.message,
            headers=[
                _header(REASON_HEADER, error.reason),
                # For native gRPC callers; the gateway drops it from JSON responses, whose body says the same.
                _header(STATUS_DETAILS_KEY, base64.b64encode(details).decode()),
            ],
        ),
    )


def _header(name: str, value: str) -> base_pb2.HeaderValueOption:
    return base_pb2.HeaderValueOption(
        header=base_pb2.HeaderValue(key=name, value=value),
        append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD,
    )
