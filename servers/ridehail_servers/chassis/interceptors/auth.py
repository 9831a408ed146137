"""Who calls, and may they."""

from __future__ import annotations

import hmac
from collections.abc import Collection

from ridehail_kernel.metadata_keys import TICKET_KEY
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.caller import set_caller
from ridehail_servers.chassis.errors import DomainError
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.methods import ServedMethod
from ridehail_servers.chassis.passenger import Identity, set_passenger
from ridehail_servers.chassis.tickets import GATEWAY, TicketVerifier
from ridehail_servers.chassis.tls import peer_names

from .base import Call, Handler, Layer, Response

GATEWAY_KEY = "x-ya-gateway-key"


class CallerNotAllowed(DomainError):
    """The caller is known, but may not call this."""

    def __init__(self, caller: str, method: str) -> None:
        super().__init__(
            "CALLER_NOT_ALLOWED",
            f"{caller} may not call {method}",
            {"caller": caller, "method": method},
        )


class CertificateOfAnother(DomainError):
    """The connection's certificate does not name the source of the ticket."""

    def __init__(self, caller: str, method: str) -> None:
        super().__init__(
            "CALLER_NOT_ALLOWED",
            f"the certificate of the connection does not name {caller}",
            {"caller": caller, "method": method},
        )


class GatewayKeyInvalid(DomainError):
    """Somebody who is not the gateway calls what only the gateway may."""

    def __init__(self) -> None:
        super().__init__("GATEWAY_KEY_INVALID", f"metadata {GATEWAY_KEY} is missing or wrong")


class Authentication(Layer):
    """Verifies the service ticket and the caller's right to the method; of a passenger's call also the passenger."""

    def __init__(
        self,
        *,
        access: LiveConfig[AccessPolicy],
        tickets: TicketVerifier | None,
        gateway_keys: Collection[str] = (),
        by_certificate: bool = False,
    ) -> None:
        """Creates the layer.

        Args:
            access: Who may call what: an edit takes effect with the next call.
            tickets: Verifies service tickets, or None where only the gateway calls.
            gateway_keys: The secrets by any of which the passenger authorizer knows the gateway: no ticket can be had
                there, since it issues tickets for the gateway.
            by_certificate: Whether the certificate of the connection has to name the caller.
        """
        self._access = access
        self._tickets = tickets
        self._gateway_keys = [key.encode() for key in gateway_keys]
        self._by_certificate = by_certificate

    async def around(self, call: Call, inner: Handler) -> Response:
        served = call.served
        caller, bound_to = self._authenticate(call.metadata, served)
        call.caller = caller
        set_caller(caller)
        if self._by_certificate and caller not in peer_names(call.context, call.metadata, gateway=GATEWAY):
            raise CertificateOfAnother(caller, served.name)
        if caller not in self._access.value.methods.get(served.name, ()):
            raise CallerNotAllowed(caller, served.name)
        if served.for_passengers:
            # Nobody else's word on the passenger is taken, whatever access.yaml says.
            if caller != GATEWAY:
                raise CallerNotAllowed(caller, served.name)
            set_passenger(call.metadata, bound_to=bound_to)
        return await inner(call)

    def _authenticate(self, metadata: dict[str, str], served: ServedMethod) -> tuple[str, Identity | None]:
        if served.by_gateway_key:
            shown = metadata.get(GATEWAY_KEY, "").encode()
            if not any(hmac.compare_digest(shown, key) for key in self._gateway_keys):
                raise GatewayKeyInvalid
            return GATEWAY, None
        assert self._tickets is not None
        ticket = self._tickets.verify(metadata.get(TICKET_KEY), destination=served.service)
        return ticket.source, ticket.passenger
