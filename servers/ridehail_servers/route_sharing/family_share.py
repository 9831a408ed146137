"""With whom of a family a ride is shared."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FamilyShare:
    """What is stored of a family when a ride is shared with it.

    Attributes:
        admin_uid: Its admin.
        admin_name: How it calls the admin.
        phone_ids: The phones that the ride is shared with.
    """

    admin_uid: int
    admin_name: str
    phone_ids: frozenset[str]


def others_phones(members: Iterable[tuple[str, str]], rider: str) -> frozenset[str]:
    """Returns the phones of everybody but the rider.

    A phone that the rider has in common with another member is the rider's.

    Args:
        members: Account and phone of each member.
        rider: The rider's account.
    """
    told = list(members)
    own = {phone_id for yandex_uid, phone_id in told if yandex_uid == rider}
    return frozenset(phone_id for _yandex_uid, phone_id in told) - own
