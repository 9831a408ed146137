"""Tokens that must open nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ridehail_servers.chassis import tokens
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token

Forge = Callable[[Path], str]
"""Makes a token, given the folder of keys."""


UID = "4000000001999"


def _claims() -> dict[str, Any]:
    now = int(datetime.now(UTC).timestamp())
    return {"sub": UID, "iat": now, "exp": now + 600}


def _unsigned_part(content: dict[str, Any]) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=")


def expired(keys: Path) -> str:
    """Was valid until a minute ago."""
    then = datetime.now(UTC) - timedelta(minutes=2)
    return issue_session_token(KeyRing(keys / "sessions"), yandex_uid=UID, ttl=timedelta(minutes=1), now=then)


def garbage(keys: Path) -> str:
    return "garbage"


def hmac_of_public_key(keys: Path) -> str:
    """Signed symmetrically with the public key."""
    signed = b".".join((_unsigned_part({"alg": "HS256", "kid": "sessions-2"}), _unsigned_part(_claims())))
    mac = hmac.digest((keys / "sessions" / "sessions-2.public.pem").read_bytes(), signed, hashlib.sha256)
    return b".".join((signed, base64.urlsafe_b64encode(mac).rstrip(b"="))).decode()


def unsigned(keys: Path) -> str:
    """Claims to need no signature."""
    return jwt.encode(_claims(), "", algorithm="none", headers={"kid": "sessions-2"})


def unknown_key(keys: Path) -> str:
    """Signed with an unknown key."""
    return jwt.encode(_claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": "stranger"})


def another_key_under_a_known_id(keys: Path) -> str:
    """Signed with an unknown key under a known key id."""
    return jwt.encode(_claims(), Ed25519PrivateKey.generate(), algorithm="EdDSA", headers={"kid": "sessions-2"})


def signed_with_a_ticket_key(keys: Path) -> str:
    """Has a session's claims and a ticket's key."""
    return tokens.sign(
        KeyRing(keys / "tickets"), {"sub": UID}, now=datetime.now(UTC), ttl=timedelta(hours=1), owner="gateway"
    )


def a_service_ticket(keys: Path) -> str:
    """Valid, but not a session."""
    return TicketIssuer(KeyRing(keys / "tickets"), "gateway")("toll-roads", Identity(UID))


FORGED: dict[Forge, str] = {
    expired: "SESSION_EXPIRED",
    garbage: "SESSION_INVALID",
    hmac_of_public_key: "SESSION_INVALID",
    unsigned: "SESSION_INVALID",
    unknown_key: "SESSION_INVALID",
    another_key_under_a_known_id: "SESSION_INVALID",
    signed_with_a_ticket_key: "SESSION_INVALID",
    a_service_ticket: "SESSION_INVALID",
}
"""With the reason that each is refused for."""
