"""Signed tokens: EdDSA JSON Web Tokens (RFC 7519, RFC 8037), the common ground of tickets and passenger sessions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import jwt
from cachetools import LRUCache

from .clock import Clock
from .keys import KeyRing
from .logs import get_logger

logger = get_logger(__name__)

_ALGORITHM = "EdDSA"
_JWS = jwt.PyJWS(algorithms=[_ALGORITHM])
_SIGNATURES = _JWS.get_algorithm_by_name(_ALGORITHM)
# How far the clocks of two machines may be apart.
LEEWAY = timedelta(seconds=30)
_LEEWAY_S = LEEWAY.total_seconds()
# A longer token is not worth reading: ours have a few hundred characters.
_MAX_LENGTH = 4096
_REMEMBERED = 10_000
_MAX_TIMESTAMP = 253_402_300_799


class TokenInvalid(Exception):
    """The token cannot be read, is not signed by a known key, or lacks a claim."""


class TokenFromTheFuture(TokenInvalid):
    """The token is good, but was issued later than it is here: the clocks of two machines differ."""

    def __init__(self, ahead_s: int) -> None:
        super().__init__(f"issued {ahead_s} s in the future")
        self.ahead_s = ahead_s


class TokenExpired(Exception):
    def __init__(self, ago_s: int) -> None:
        super().__init__(f"expired {ago_s} s ago")
        self.ago_s = ago_s


class Expiring(Protocol):
    """What a verified token states."""

    @property
    def expires_at(self) -> int:
        """Unix time in seconds."""


def sign(keys: KeyRing, claims: Mapping[str, Any], *, now: datetime, ttl: timedelta, owner: str = "") -> str:
    """Returns a token that holds `claims`, with `iat`, `exp` and the id of the owner's key."""
    kid, key = keys.signing_key(owner)
    issued = int(now.timestamp())
    payload = {**claims, "iat": issued, "exp": issued + int(ttl.total_seconds())}
    return jwt.encode(payload, key, algorithm=_ALGORITHM, headers={"kid": kid})


def verify(
    keys: KeyRing, token: str, *, now: datetime, required: Sequence[str], owned_by: str | None = None
) -> dict[str, Any]:
    """Returns the claims of a good token.

    Args:
        keys: Holds the public keys.
        token: As a caller sent it. Not trusted.
        now: The present time.
        required: Claims that must be there as non-empty strings, beside `iat` and `exp`.
        owned_by: The claim that names the owner of the key, if keys have owners.

    Raises:
        TokenInvalid: See the class.
        TokenFromTheFuture: See the class; differences of 30 s are tolerated.
        TokenExpired: See the class.
    """
    claims = _signed_claims(keys, token, owned_by)
    times: list[Any] = [claims.get("iat"), claims.get("exp"), claims.get("nbf", 0)]
    if not all(type(one) is int and 0 <= one <= _MAX_TIMESTAMP for one in times):
        raise TokenInvalid("iat, exp and nbf must be whole seconds of the years 1970 to 9999")
    if not all(isinstance(claims.get(name), str) and claims[name] for name in required):
        raise TokenInvalid("a claim is missing or not a text")
    issued, expires, not_before = times
    if not_before > now.timestamp():
        raise TokenInvalid("not yet valid")
    if issued > now.timestamp() + _LEEWAY_S:
        ahead_s = round(issued - now.timestamp())
        logger.warning("a clock differs: a good token is from the future", ahead_s=ahead_s)
        raise TokenFromTheFuture(ahead_s)
    if expires <= now.timestamp() - _LEEWAY_S:
        raise TokenExpired(round(now.timestamp() - expires))
    return claims


def _signed_claims(keys: KeyRing, token: str, owned_by: str | None) -> dict[str, Any]:
    """Returns what a token states that the owner of its key has signed; raises TokenInvalid.

    Whose key that is, the token says itself. PyJWT's own way would be to read it twice, which takes a third longer.
    """
    if len(token) > _MAX_LENGTH:
        raise TokenInvalid("too long")
    try:
        unverified = _JWS.decode_complete(token, options={"verify_signature": False})
        header, claims = unverified["header"], json.loads(unverified["payload"])
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise TokenInvalid(type(error).__name__) from error
    if not isinstance(claims, dict) or header.get("alg") != _ALGORITHM:
        raise TokenInvalid("no claims, or another algorithm")
    kid, owner = header.get("kid"), claims.get(owned_by) if owned_by else ""
    if not isinstance(kid, str) or not isinstance(owner, str) or (owned_by and not owner):
        raise TokenInvalid("no key is named")
    key = keys.public_key(kid, owner)
    if key is None:
        raise TokenInvalid("unknown key")
    signed = token.rpartition(".")[0].encode()
    if not _SIGNATURES.verify(signed, key, unverified["signature"]):
        raise TokenInvalid("the signature is wrong")
    return claims


def unverified_text(token: str, name: str) -> str:
    """Returns what a token claims, empty if it cannot be read or is no text; nobody may be let in for it."""
    if len(token) > _MAX_LENGTH:
        return ""
    try:
        claim = jwt.decode(token, options={"verify_signature": False}).get(name)
    except (jwt.PyJWTError, ValueError):
        return ""
    return claim if isinstance(claim, str) else ""


Token = TypeVar("Token", bound=Expiring)


class VerifiedTokens(Generic[Token]):
    """Remembers which tokens were found good, so that each signature is verified once: that costs half a call."""

    def __init__(self, keys: KeyRing, read: Callable[[str], Token], *, clock: Clock) -> None:
        """Creates an empty memory; when a public key is withdrawn, all is forgotten.

        `read` verifies a token, and raises when it is no good.
        """
        self._keys = keys
        self._read = read
        self._withdrawals = keys.withdrawals()
        self._clock = clock
        # Python hashes the text with a per-process key; the whole token is compared, so no other can take its place.
        self._verified: LRUCache[str, Token] = LRUCache(_REMEMBERED)

    def get(self, text: str) -> Token:
        """Returns what a good token states, or raises what `read` raises."""
        withdrawals = self._keys.withdrawals()
        if withdrawals != self._withdrawals:
            self._withdrawals = withdrawals
            self._verified.clear()
        token = self._verified.get(text)
        if token is None or token.expires_at <= self._clock().timestamp() - _LEEWAY_S:
            token = self._verified[text] = self._read(text)
        return token
