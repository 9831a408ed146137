"""Passenger session tokens: who uses the app.

The token is signed by a key of the ring `sessions`, so a service ticket is no session and a session is no ticket. What
it states becomes HTTP headers, so every value must be a clean header value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ridehail_servers.chassis import tokens
from ridehail_servers.chassis.clock import Clock, system_clock
from ridehail_servers.chassis.errors import Code, DomainError
from ridehail_servers.chassis.keys import KeyRing

FAMILY_ROLES: Final = frozenset({"user", "owner"})
# Printable ASCII without outer spaces: HTTP would trim those, and the value would no longer be the one that was signed.
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")


@dataclass(frozen=True, slots=True)
class Session:
    """A verified session. Personal: never logged.

    Attributes:
        yandex_uid: The passenger's account.
        user_id: The app's user of that account, if known.
        family_role: "user" or "owner"; None when not in a family.
        phone_id: The account's phone, if known.
        expires_at: Unix time in seconds.
    """

    yandex_uid: str
    user_id: str | None
    family_role: str | None
    phone_id: str | None
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
    user_id: str | None = None,
    family_role: str | None = None,
    phone_id: str | None = None,
    ttl: timedelta,
    now: datetime,
) -> str:
    """Returns a new session token.

    Args:
        keys: The ring `sessions`; must hold a private key.
        yandex_uid: The passenger's account.
        user_id: The app's user of that account.
        family_role: "user" or "owner"; None: not in a family.
        phone_id: The account's phone.
        ttl: How long the token is valid; at least a second.
        now: The present moment.

    Raises:
        ValueError: A value is not what a session may hold: 1 to 128 printable ASCII characters without outer spaces.
        KeysMissing: There is no private key.
    """
    if ttl < timedelta(seconds=1):
        raise ValueError("a session token is valid for a second or more")
    claims = {"sub": yandex_uid, "user_id": user_id, "family_role": family_role, "phone_id": phone_id}
    stated = {name: value for name, value in claims.items() if value is not None}
    for name, value in stated.items():
        if not _is_clean(name, value):
            raise ValueError(f"{name} cannot be {value!r}")
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
        values = {name: _clean(name, claims) for name in ("sub", "user_id", "family_role", "phone_id")}
        return Session(
            yandex_uid=claims["sub"],
            user_id=values["user_id"],
            family_role=values["family_role"],
            phone_id=values["phone_id"],
            expires_at=claims["exp"],
        )


def _clean(name: str, claims: dict[str, Any]) -> str | None:  # claims are JSON
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _is_clean(name, value):
        raise SessionInvalid
    return value


def _is_clean(name: str, value: str) -> bool:
    if name == "family_role":
        return value in FAMILY_ROLES
    return _HEADER_VALUE.fullmatch(value) is not None
