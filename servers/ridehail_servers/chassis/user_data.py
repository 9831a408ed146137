"""What services keep of a user: the identifiers by which it is found, and its records; see docs/user-data.md."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass

from ridehail_kernel.field_violation import FieldViolation

from .errors import InvalidRequest

ERASED_AT_ONCE = 500
"""Records that one transaction erases."""

LISTED_AT_ONCE = 500
"""Orders of one page; the contract limits a request to as many."""

_PAGE_ROWS = 100
_PAGE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class UserIdentifiers:
    """All by which services know a user."""

    yandex_uid: str
    phone_ids: tuple[str, ...] = ()
    order_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A record of a user: the text of a JSON object. `key` is its place among those of its kind."""

    kind: str
    key: str
    content: str


@dataclass(frozen=True, slots=True)
class FoundUserData:
    """What a service has of a user; see the contract."""

    counts: dict[str, int]
    has_active_orders: bool
    pending: int
    phone_ids: Sequence[str]
    order_ids: Sequence[str]


@dataclass(frozen=True, slots=True)
class PageStart:
    """Where a page of records begins: after a key of a kind."""

    kind: str
    after: str

    def token(self) -> str:
        return base64.urlsafe_b64encode(json.dumps([self.kind, self.after]).encode()).decode()

    @classmethod
    def read(cls, token: str, kinds: Sequence[str]) -> PageStart:
        """Reads a token, or raises `InvalidRequest` if it is none; an empty one begins with the first kind."""
        if not token:
            return cls(kinds[0], "")
        try:
            kind, after = json.loads(base64.b64decode(token, altchars=b"-_", validate=True))
        except (binascii.Error, UnicodeDecodeError, ValueError, TypeError):
            kind = after = None
        if kind not in kinds or not isinstance(after, str) or "\0" in after:
            raise InvalidRequest([FieldViolation("page_token", "is none of this service", "user_data.page_token")])
        return cls(kind, after)


@dataclass(slots=True)
class PageBudget:
    """What still fits into a page; the first record always does."""

    rows: int = _PAGE_ROWS
    bytes: int = _PAGE_BYTES

    def fitting(self, records: Sequence[UserRecord]) -> Sequence[UserRecord]:
        """Returns the first of the records that fit, and takes them from what is left."""
        for number, record in enumerate(records):
            size = len(record.content.encode())
            if self.rows < _PAGE_ROWS and size > self.bytes:
                self.rows = 0
                return records[:number]
            self.rows, self.bytes = self.rows - 1, self.bytes - size
        return records
