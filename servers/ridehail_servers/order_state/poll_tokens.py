"""The opaque poll tokens of apps: signed, made for one rider and one service, and never trusted.

A token says when the provider was last queried in vain, or that it should be queried now. Whatever cannot be verified
says the latter, so a token can delay a query by `retry_interval_s`, which apps can do by themselves, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum

from itsdangerous import BadSignature, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

KEYS_FILE = "order-state-tags.key"
"""In the folder of keys: one secret a line. The last one signs, all of them verify."""

_VERSION = "order-state-tag.1"
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TokenKind(Enum):
    """What a token says of its provider."""

    QUERY_NOW = b"now"
    JUST_QUERIED = b"asked"


class _Signer(TimestampSigner):
    """Signs by a clock that is handed in, in milliseconds: the retry interval is a matter of seconds."""

    def __init__(self, secrets: Sequence[str], salt: str, now: datetime) -> None:
        super().__init__(secrets, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        return (self._now - _EPOCH) // _MILLISECOND

    def timestamp_to_datetime(self, ts: int) -> datetime:
        return _EPOCH + ts * _MILLISECOND


class PollTokens:
    """Issues and reads poll tokens.

    Args:
        secrets: The last one signs, all of them verify; at least one.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self._secrets = tuple(secrets)

    def issue(self, kind: TokenKind, yandex_uid: str, service: str, now: datetime) -> str:
        """Returns a new token."""
        return self._signer(yandex_uid, service, now).sign(kind.value).decode()

    def queried_at(
        self, token: str, yandex_uid: str, service: str, *, now: datetime, ttl: timedelta
    ) -> datetime | None:
        """Returns when the provider was last queried, or None if it should be queried now.

        Args:
            token: As an app sent it. Not trusted.
            yandex_uid: The rider.
            service: The service.
            now: The present time; aware.
            ttl: An older token says nothing.
        """
        signer = self._signer(yandex_uid, service, now)
        try:
            payload, signed_at = signer.unsign(token, max_age=ttl // _MILLISECOND, return_timestamp=True)
        except BadSignature:
            return None
        return signed_at if payload == TokenKind.JUST_QUERIED.value and _is_as_signed(token) else None

    def _signer(self, yandex_uid: str, service: str, now: datetime) -> _Signer:
        # Ids hold no control characters, so no two pairs make one salt.
        return _Signer(self._secrets, f"{_VERSION}\0{service}\0{yandex_uid}", now)


def _is_as_signed(verified: str) -> bool:
    """Checks that a signature is spelled as it was made: base64 skips what it does not need."""
    signature = verified.rpartition(".")[2].encode()
    return base64_encode(base64_decode(signature)) == signature
