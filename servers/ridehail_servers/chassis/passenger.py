"""The passenger on whose behalf a call is made, as the gateway named them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from .errors import DomainError

UID_KEY = "x-yandex-uid"
USER_ID_KEY = "x-yataxi-userid"
FAMILY_ROLE_KEY = "x-ya-family-role"
PHONE_ID_KEY = "x-yataxi-phone-id"
LANGUAGE_KEY = "accept-language"
# The gateway sets or removes each of these itself, so that no client can smuggle one in.
TRUSTED_KEYS = (UID_KEY, USER_ID_KEY, FAMILY_ROLE_KEY, PHONE_ID_KEY)
FAMILY_ROLES: Final = frozenset({"user", "owner"})
_REMEMBERED: Final = 10_000
# Printable ASCII without outer spaces: HTTP would trim those, and the value would no longer be the one that was signed.
_HEADER_VALUE: Final = re.compile(r"[!-~](?:[ -~]{0,126}[!-~])?")


class PassengerMissing(DomainError):
    """The ticket is bound to no passenger, or the headers name another one."""

    def __init__(self) -> None:
        super().__init__("PASSENGER_MISSING", "the call names no passenger")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a passenger is, as sessions and the gateway's tickets say; empty where unknown. Personal: never logged."""

    yandex_uid: str
    user_id: str = ""
    family_role: str = ""
    phone_id: str = ""

    def __post_init__(self) -> None:
        """Raises `ValueError` if a value is not 1 to 128 printable ASCII characters, or the role does not exist."""
        for name in ("yandex_uid", "user_id", "phone_id"):
            value = getattr(self, name)
            if (value or name == "yandex_uid") and not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"{name} cannot be {value!r}")
        if self.family_role and self.family_role not in FAMILY_ROLES:
            raise ValueError(f"family_role cannot be {self.family_role!r}")

    def headers(self) -> dict[str, str]:
        """Returns the value of each of `TRUSTED_KEYS`; empty where nothing is known."""
        values = (self.yandex_uid, self.user_id, self.family_role, self.phone_id)
        return dict(zip(TRUSTED_KEYS, values, strict=True))


@dataclass(frozen=True, slots=True)
class Passenger(Identity):
    """An authenticated passenger and the app's Accept-Language, empty without one. Personal: never logged."""

    accept_language: str = ""


_current: ContextVar[Passenger | None] = ContextVar("passenger", default=None)


def current_passenger() -> Passenger:
    """Returns the passenger of the call that is being handled, or raises `PassengerMissing`."""
    passenger = _current.get()
    if passenger is None:
        raise PassengerMissing
    return passenger


def set_passenger(metadata: Mapping[str, str], *, bound_to: Identity | None) -> None:
    """Remembers the passenger of the gateway's ticket for the rest of the call.

    Raises:
        PassengerMissing: The ticket is bound to none, or a header says something else than the ticket.
    """
    if bound_to is None:
        raise PassengerMissing
    for name, value in bound_to.headers().items():
        if metadata.get(name, value) != value:
            raise PassengerMissing
    _current.set(_passenger(bound_to, metadata.get(LANGUAGE_KEY, "")))


# Apps call every few seconds, and to judge the values again takes a tenth of a call.
@lru_cache(_REMEMBERED)
def _passenger(identity: Identity, accept_language: str) -> Passenger:
    return Passenger(identity.yandex_uid, identity.user_id, identity.family_role, identity.phone_id, accept_language)
