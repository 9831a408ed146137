"""The opaque tags that apps poll with: signed, made for one rider and one service, and never trusted.

A tag says when the service was last asked in vain, or that it should be asked now. Whatever cannot be verified says the
latter, so a tag can delay a question by `retry_interval_s`, which apps can do by themselves, and nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode

_VERSION = "order-state-tag.1"
_ASKED = b"asked"
_ASK_NOW = b"now"
_MILLISECOND = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class _Signer(TimestampSigner):
    """Signs by a clock that is handed in, in milliseconds: the retry interval is a matter of seconds."""

    def __init__(self, secrets: Sequence[str], salt: str, now: datetime) -> None:
        super().__init__(secrets, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        self._now = now

    def get_timestamp(self) -> int:
        return (self._now - _EPOCH) // _MILLISECOND

    def timestamp_to_datetime(self, ts: int) -> datetime:
        return _EPOCH + ts * _MILLISECOND


class Tags:
    """Makes and reads tags."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Takes the secrets.

        Args:
            secrets: The last one signs, all of them verify; at least one.
        """
        self._secrets = tuple(secrets)

    def just_asked(self, yandex_uid: str, service: str, now: datetime) -> str:
        """Returns a tag that says that the service was asked at a moment.

        Args:
            yandex_uid: The rider.
            service: The service.
            now: The moment; aware.
        """
        return self._signer(yandex_uid, service, now).sign(_ASKED).decode()

    def ask_now(self, yandex_uid: str, service: str, now: datetime) -> str:
        """Returns a tag that says that the service should be asked.

        Args:
            yandex_uid: The rider.
            service: The service.
            now: The present moment; aware.
        """
        return self._signer(yandex_uid, service, now).sign(_ASK_NOW).decode()

    def asked_at(self, tag: str, yandex_uid: str, service: str, *, now: datetime, ttl: timedelta) -> datetime | None:
        """Returns when the service was last asked, as a tag says; None: it should be asked now.

        Args:
            tag: As an app sent it. Not trusted.
            yandex_uid: The rider.
            service: The service.
            now: The present moment; aware.
            ttl: The age at which a tag counts no more.
        """
        signer = self._signer(yandex_uid, service, now)
        try:
            payload, signed_at = signer.unsign(tag, max_age=ttl // _MILLISECOND, return_timestamp=True)
        except BadSignature:
            return None
        return signed_at if payload == _ASKED and _is_as_signed(tag) else None

    def _signer(self, yandex_uid: str, service: str, now: datetime) -> _Signer:
        # Ids hold no control characters, so no two pairs make one salt.
        return _Signer(self._secrets, f"{_VERSION}\0{service}\0{yandex_uid}", now)


def _is_as_signed(verified_tag: str) -> bool:
    """Tells whether a signature is spelled as it was made: base64 passes over what it does not need."""
    signature = verified_tag.rpartition(".")[2].encode()
    return base64_encode(base64_decode(signature)) == signature
