"""Passenger session tokens, which prove who uses the app.

A token is signed by a key of the ring `sessions`, so a service ticket is no session and a session is no ticket. What
it states becomes HTTP headers, so every value must be a clean header value.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from ridehail_servers.chassis import tokens
from ridehail_servers.chassis.clock import Clock, system_clock
from ridehail_servers.chassis.errors import DomainError
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity

ISSUER: Final = "ridehail"
AUDIENCE: Final = "ridehail-passengers"
SESSIONS_FILE: Final = "sessions.yaml"
# In the order of `Identity`.
_CLAIMS: Final = ("sub", "user_id", "family_role", "phone_id")
_RULES_LENGTH: Final = 32


class SessionPolicy(BaseModel):
    """The content of `sessions.yaml`.

    Attributes:
        issuer: The required `iss` of a session.
        audience: The required `aud` of a session.
        longest_life_s: A session that was issued for more seconds is refused.
        ended: Ids (`sid`) of sessions that are refused though they have not expired. One that is older than the longest
            life may be removed again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    issuer: str = Field(default=ISSUER, min_length=1)
    audience: str = Field(default=AUDIENCE, min_length=1)
    longest_life_s: int = Field(default=30 * 86400, ge=1, le=366 * 86400)
    ended: frozenset[str] = Field(default=frozenset(), max_length=10_000)


@dataclass(frozen=True, slots=True)
class Session:
    """A verified session, issued for `life_s` seconds until a Unix time. Personal: never logged."""

    passenger: Identity
    expires_at: int
    life_s: int
    issuer: str
    audience: str
    sid: str


class SessionMissing(DomainError):
    """The request has no session token."""

    def __init__(self) -> None:
        super().__init__("SESSION_MISSING", "Authorization: Bearer <session token> is missing")


class SessionInvalid(DomainError):
    """The session token cannot be trusted."""

    def __init__(self) -> None:
        super().__init__("SESSION_INVALID", "the session token is invalid")


class SessionExpired(DomainError):
    """The session token is too old."""

    def __init__(self) -> None:
        super().__init__("SESSION_EXPIRED", "the session token has expired")


def issue_session_token(
    keys: KeyRing,
    *,
    yandex_uid: str,
    user_id: str = "",
    family_role: str = "",
    phone_id: str = "",
    ttl: timedelta,
    now: datetime,
    policy: SessionPolicy | None = None,
) -> str:
    """Returns a new session token.

    Args:
        keys: The ring `sessions`; must hold a private key.
        yandex_uid: The passenger's account; for the others see `Identity`.
        user_id: See there.
        family_role: See there.
        phone_id: See there.
        ttl: At least a second.
        now: The present time.
        policy: Names issuer and audience; by default as in an empty file.

    Raises:
        ValueError: The ttl is too short, or a value is not what an `Identity` may hold.
        KeysMissing: There is no private key.
    """
    if ttl < timedelta(seconds=1):
        raise ValueError("a session token is valid for a second or more")
    passenger = Identity(yandex_uid, user_id, family_role, phone_id)
    stated = {name: value for name, value in zip(_CLAIMS, passenger.headers().values(), strict=True) if value}
    policy = policy or SessionPolicy()
    about = {"iss": policy.issuer, "aud": policy.audience, "sid": secrets.token_urlsafe(16)}
    return tokens.sign(keys, {**stated, **about}, now=now, ttl=ttl)


class SessionVerifier:
    """Verifies session tokens, each signature once.

    Args:
        keys: The ring `sessions`.
        policy: Returns what is accepted now.
        clock: Returns the present time.
    """

    def __init__(
        self, keys: KeyRing, *, policy: Callable[[], SessionPolicy] = SessionPolicy, clock: Clock = system_clock
    ) -> None:
        self._keys = keys
        self._policy = policy
        self._clock = clock
        self._verified = tokens.VerifiedTokens(keys, self._read, clock=clock)
        self._digested: tuple[SessionPolicy, bytes, str] | None = None

    def rules(self) -> str:
        """Returns a digest of what sessions are judged by, keys and policy: equal in all processes that have the same.

        What was found good by the same rules is good until it expires. Read it before `verify`: they may change.
        """
        policy, keys = self._policy(), self._keys.public_digest()
        if self._digested is None or self._digested[0] is not policy or self._digested[1] != keys:
            stated = repr(sorted(policy.model_dump(exclude={"ended"}).items())), repr(sorted(policy.ended))
            digest = hashlib.sha256("\0".join(stated).encode() + keys).hexdigest()
            self._digested = (policy, keys, digest[:_RULES_LENGTH])
        return self._digested[2]

    def verify(self, token: str) -> Session:
        """Returns the session of a token as the app sent it, if it is good now.

        Raises:
            SessionInvalid: It cannot be read, has an unknown signature, states what no header can carry, is another
                issuer's or for another audience, was issued for too long, or was ended.
            SessionExpired: It is too old.
        """
        session, policy = self._verified.get(token), self._policy()
        if (
            (session.issuer, session.audience) != (policy.issuer, policy.audience)
            or session.life_s > policy.longest_life_s
            or session.sid in policy.ended
        ):
            raise SessionInvalid
        return session

    def _read(self, token: str) -> Session:
        try:
            claims = tokens.verify(self._keys, token, now=self._clock(), required=("sub", "iss", "aud", "sid"))
        except tokens.TokenExpired as error:
            raise SessionExpired from error
        except tokens.TokenInvalid as error:
            raise SessionInvalid from error
        life_s = claims["exp"] - claims["iat"]
        return Session(_passenger(claims), claims["exp"], life_s, claims["iss"], claims["aud"], claims["sid"])


def _passenger(claims: dict[str, Any]) -> Identity:  # claims are JSON
    stated = [claims.get(name) for name in _CLAIMS]
    if not all(value is None or (isinstance(value, str) and value) for value in stated):
        raise SessionInvalid
    try:
        return Identity(*(value or "" for value in stated))
    except ValueError as error:
        raise SessionInvalid from error
