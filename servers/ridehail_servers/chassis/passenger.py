"""The passenger on whose behalf a call is made, as the gateway named them."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from .errors import Code, DomainError

UID_KEY = "x-yandex-uid"
USER_ID_KEY = "x-yataxi-userid"
FAMILY_ROLE_KEY = "x-ya-family-role"
PHONE_ID_KEY = "x-yataxi-phone-id"
LANGUAGE_KEY = "accept-language"
# The gateway sets or removes each of these itself, so that no client can smuggle one in.
TRUSTED_KEYS = (UID_KEY, USER_ID_KEY, FAMILY_ROLE_KEY, PHONE_ID_KEY)


class PassengerMissing(DomainError):
    """The gateway named no passenger, or another than its ticket is bound to."""

    def __init__(self) -> None:
        super().__init__(Code.UNAUTHENTICATED, "PASSENGER_MISSING", "the call names no passenger")


@dataclass(frozen=True, slots=True)
class Passenger:
    """An authenticated passenger. Personal: never logged.

    Attributes:
        yandex_uid: The account.
        user_id: The app's user of that account; empty when unknown.
        family_role: "user" or "owner"; empty when not in a family.
        phone_id: The account's phone; empty when unknown.
        accept_language: As the app sent it; empty when it did not.
    """

    yandex_uid: str
    user_id: str
    family_role: str
    phone_id: str
    accept_language: str


_current: ContextVar[Passenger | None] = ContextVar("passenger", default=None)


def current_passenger() -> Passenger:
    """Returns the passenger of the call that is being handled.

    Raises:
        PassengerMissing: The call is not a passenger's.
    """
    passenger = _current.get()
    if passenger is None:
        raise PassengerMissing
    return passenger


def set_passenger(metadata: Mapping[str, str], *, bound_to: str | None) -> None:
    """Remembers the passenger whom the gateway named, for the rest of the call.

    Args:
        metadata: Of the call, whose ticket has been verified as the gateway's.
        bound_to: The passenger that the ticket is bound to, if it is.

    Raises:
        PassengerMissing: None is named, or another one than the ticket's.
    """
    uid = metadata.get(UID_KEY, "")
    if not uid or (bound_to is not None and uid != bound_to):
        raise PassengerMissing
    _current.set(
        Passenger(
            yandex_uid=uid,
            user_id=metadata.get(USER_ID_KEY, ""),
            family_role=metadata.get(FAMILY_ROLE_KEY, ""),
            phone_id=metadata.get(PHONE_ID_KEY, ""),
            accept_language=metadata.get(LANGUAGE_KEY, ""),
        )
    )
