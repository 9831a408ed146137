"""Wires the passenger authorizer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

from ridehail_servers.chassis.keys import GATEWAY_KEY_FILE, KeyRing, read_secrets
from ridehail_servers.chassis.service_definition import (
    Contract,
    KeyNeed,
    RunningService,
    ServiceContext,
    ServiceDefinition,
)
from ridehail_servers.chassis.tickets import GATEWAY, TicketIssuer

from .session_tokens import SESSIONS_FILE, SessionPolicy, SessionVerifier

NAME: Final = "passenger-authorizer"
# Key rings, in the folder of keys.
SESSIONS_RING: Final = "sessions"
TICKETS_RING: Final = "tickets"
# Timeout of the gateway's call, in seconds.
DEADLINE_S: Final = 1.0


def definition(destinations: Mapping[str, str]) -> ServiceDefinition:
    """Returns the service's definition.

    Args:
        destinations: Full name of each gRPC service for passengers -> the service of the suite that serves it.
    """

    @asynccontextmanager
    async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
        """Makes the service for one process."""
        from .authorizer import Authorizer
        from .service import AuthorizationServicer

        # The context's own issuer makes tickets of this service; these are the gateway's.
        keys = KeyRing(context.keys_dir / TICKETS_RING, verifies=False)
        keys.signing_key(GATEWAY)
        tickets = TicketIssuer(keys, GATEWAY, clock=context.clock)
        sessions = SessionVerifier(
            KeyRing(context.keys_dir / SESSIONS_RING),
            policy=lambda: context.configs[SESSIONS_FILE].value,
            clock=context.clock,
        )
        authorizer = Authorizer(sessions, ticket=tickets, destinations=destinations, clock=context.clock)
        yield RunningService((AuthorizationServicer(authorizer),))

    return ServiceDefinition(
        name=NAME,
        contracts=(
            Contract(
                external_auth_pb2.DESCRIPTOR.services_by_name["Authorization"],
                external_auth_pb2_grpc.add_AuthorizationServicer_to_server,
                gateway_deadline=DEADLINE_S,
            ),
        ),
        build=build,
        configs={SESSIONS_FILE: SessionPolicy},
        keys=(
            KeyNeed(
                f"{TICKETS_RING}/{GATEWAY}/*.private.pem",
                lambda keys_dir: KeyRing(keys_dir / TICKETS_RING, verifies=False).signing_key(GATEWAY),
                "signs the tickets of passengers' calls",
            ),
            KeyNeed(
                f"{SESSIONS_RING}/*.public.pem",
                lambda keys_dir: KeyRing(keys_dir / SESSIONS_RING),
                "verifies passengers' sessions",
            ),
            KeyNeed(
                GATEWAY_KEY_FILE,
                lambda keys_dir: read_secrets(keys_dir / GATEWAY_KEY_FILE),
                "proves who the gateway is",
            ),
        ),
    )
