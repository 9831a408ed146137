"""Jobs and their receipts, which hold nothing personal."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobKind(StrEnum):
    EXPORT = "export"
    ERASURE = "erasure"


@dataclass(frozen=True, slots=True)
class ServiceReceipt:
    """What a service had of the user, and what it erased; by kind."""

    service: str
    found: dict[str, int]
    erased: dict[str, int]
    processed_at: datetime | None
    failure: str | None
    owed: bool


@dataclass(frozen=True, slots=True)
class Job:
    """An export or erasure; see the contract."""

    job_id: str
    kind: str
    pseudonym: str
    requested_by: str
    passes: int
    waits_for: str | None
    requested_at: datetime
    erased_at: datetime | None
    ended_at: datetime | None
    given_up: bool


@dataclass(frozen=True, slots=True)
class Receipt:
    """A job and what each service did."""

    job: Job
    services: Sequence[ServiceReceipt]


def new_key() -> str:
    """Returns a new receipt key."""
    return secrets.token_hex(32)


def pseudonym(receipt_key: str, yandex_uid: str) -> str:
    """Returns what stands for a user in a receipt.

    The key is the job's own and deleted with its end: then only the receipt's owner can tell whose it is.
    """
    return hmac.new(receipt_key.encode(), yandex_uid.encode(), hashlib.sha256).hexdigest()
