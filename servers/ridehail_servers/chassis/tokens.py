"""Signed tokens: EdDSA JSON Web Tokens (RFC 7519, RFC 8037), the common ground of tickets and passenger sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import jwt

from .keys import KeyRing

_ALGORITHM = "EdDSA"
# How far the clocks of two machines may be apart.
LEEWAY = timedelta(seconds=30)
# A longer token is not worth reading: ours have a few hundred characters.
_MAX_LENGTH = 4096


class TokenInvalid(Exception):
    """The token cannot be read, is not signed by a known key, or lacks a claim."""


class TokenExpired(Exception):
    """The token was valid until some time ago."""


def sign(keys: KeyRing, claims: Mapping[str, Any], *, now: datetime, ttl: timedelta) -> str:
    """Returns a token that holds `claims`, with `iat`, `exp` and the key's id.

    Args:
        keys: Must hold a private key.
        claims: What the token states.
        now: The present moment.
        ttl: How long the token is valid.

    Raises:
        KeysMissing: There is no private key.
    """
    kid, key = keys.signing_key()
    issued = int(now.timestamp())
    payload = {**claims, "iat": issued, "exp": issued + int(ttl.total_seconds())}
    return jwt.encode(payload, key, algorithm=_ALGORITHM, headers={"kid": kid})


def verify(keys: KeyRing, token: str, *, now: datetime, required: Sequence[str]) -> dict[str, Any]:
    """Returns the claims of a good token.

    Args:
        keys: Holds the public keys.
        token: As a caller sent it. Not trusted.
        now: The present moment.
        required: Claims that must be there as non-empty strings, beside `iat` and `exp`.

    Raises:
        TokenInvalid: See the class; also when it was issued in the future.
        TokenExpired: See the class.
    """
    if len(token) > _MAX_LENGTH:
        raise TokenInvalid("too long")
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        key = keys.public_key(kid) if isinstance(kid, str) else None
        if key is None:
            raise TokenInvalid("unknown key")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            options={
                "require": ["iat", "exp", *required],
                "verify_exp": False,  # checked below, by the clock that is handed in
                "verify_iat": False,
                "verify_aud": False,
                "verify_sub": False,
            },
        )
    except jwt.PyJWTError as error:
        raise TokenInvalid(type(error).__name__) from error
    issued, expires = claims["iat"], claims["exp"]
    if not all(isinstance(moment, int) and not isinstance(moment, bool) for moment in (issued, expires)):
        raise TokenInvalid("iat and exp must be whole numbers")
    if not all(isinstance(claims[name], str) and claims[name] for name in required):
        raise TokenInvalid("a claim is not a text")
    if issued > now.timestamp() + LEEWAY.total_seconds():
        raise TokenInvalid("issued in the future")
    if expires <= now.timestamp() - LEEWAY.total_seconds():
        raise TokenExpired
    return claims
