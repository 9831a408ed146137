"""The rider who looks at the card of a ride."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rider:
    """A rider. Personal: never logged.

    Attributes:
        yandex_uid: The account.
        family_role: `user` or `owner`; empty: in no family.
        locale: The rider's languages, as in the header Accept-Language, at most 256 characters.
    """

    yandex_uid: str
    family_role: str
    locale: str
