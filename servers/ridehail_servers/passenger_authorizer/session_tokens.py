"""Passenger session tokens: who uses the app.

The token is signed by a key of the ring `sessions`, so a service ticket is no session and a session is no ticket. What
it states becomes HTTP headers, so every value must be a clean header value.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ridehail_servers.chassis import tokens
from ridehail_servers.chassis.clock import Clock, system_clock
from ridehail_servers.chassis.errors import Code, DomainError
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity

# In the order of `Identity`.
_CLAIMS: Final = ("sub", "user_id", "family_role", "phone_id")


@dataclass(frozen=True, slots=True)
class Session:
    """A verified session. Personal: never logged.

    Attributes:
        passenger: Whose it is.
        expires_at: Unix time in seconds.
    """

    passenger: Identity
    expires_at: int


class SessionMissing(DomainError):
    """The request has no session token."""

    def __init__(self) -> None:
        super().__init__(Code.UNAUTHENTICATED, "SESSION_MISSING", "Authorization: Bearer <session token> is missing")


class SessionInvalid(DomainError):
    """The session token cannot be trusted."""

    def __init__(self) -> None:
        super().__init__(Code.UNAUTHENTICATED, "SESSION_INVALID", "the session token is invalid")


class SessionExpired(DomainError):
    """The session token is too old."""

    def __init__(self) -> None:
        super().__init__(Code.UNAUTHENTICATED, "SESSION_EXPIRED", "the session token has expired")


def issue_session_token(
    keys: KeyRing,
    *,
    yandex_uid: str,
    user_id: str = "",
    family_role: str = "",
    phone_id: str = "",
    ttl: timedelta,
    now: datetime,
) -> str:
    """Returns a new session token.

    Args:
        keys: The ring `sessions`; must hold a private key.
        yandex_uid: The passenger's account.
        user_id: See `Identity`.
        family_role: See `Identity`.
        phone_id: See `Identity`.
        ttl: How long the token is valid; at least a second.
        now: The present moment.

    Raises:
        ValueError: The ttl is too short, or a value is not what an `Identity` may hold.
        KeysMissing: There is no private key.
    """
    if ttl < timedelta(seconds=1):
        raise ValueError("a session token is valid for a second or more")
    passenger = Identity(yandex_uid, user_id, family_role, phone_id)
    stated = {name: value for name, value in zip(_CLAIMS, passenger.headers().values(), strict=True) if value}
    return tokens.sign(keys, stated, now=now, ttl=ttl)


class SessionVerifier:
    """Verifies session tokens, each signature once."""

    def __init__(self, keys: KeyRing, *, clock: Clock = system_clock) -> None:
        """Prepares a verifier.

        Args:
            keys: The ring `sessions`.
            clock: Tells the time.
        """
        self._keys = keys
        self._clock = clock
        self._verified = tokens.VerifiedTokens(keys, self._read, clock=clock)

    def verify(self, token: str) -> Session:
        """Returns the session, if the token is good now.

        Args:
            token: As the app sent it. Not trusted.

        Raises:
            SessionInvalid: It cannot be read, has an unknown signature, or states what no header can carry.
            SessionExpired: It is too old.
        """
        return self._verified.get(token)

    def _read(self, token: str) -> Session:
        try:
            claims = tokens.verify(self._keys, token, now=self._clock(), required=("sub",))
        except tokens.TokenExpired as error:
            raise SessionExpired from error
        except tokens.TokenInvalid as error:
            raise SessionInvalid from error
        return Session(_passenger(claims), claims["exp"])


def _passenger(claims: dict[str, Any]) -> Identity:  # claims are JSON
    stated = [claims.get(name) for name in _CLAIMS]
    if not all(value is None or (isinstance(value, str) and value) for value in stated):
        raise SessionInvalid
    try:
        return Identity(*(value or "" for value in stated))
    except ValueError as error:
        raise SessionInvalid from error
