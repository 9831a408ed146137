"""Decides whether a rider may be invited, and whose an invitation is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from .errors import FamilyFull, InvitationRateExceeded, TooManyInvitations
from .membership import MAX_MEMBERS, Family

RATE_WINDOW: Final = timedelta(hours=24)
MAX_RECEIVED: Final = 50
"""Invitations that are listed to one passenger."""


class InvitationLimits(BaseModel):
    """How many invitations there may be, and for how long.

    Attributes:
        ttl_h: Hours for which one is open.
        max_open: Of a family at a time.
        max_a_day: Sent by one rider within 24 hours, revoked ones included.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    ttl_h: int = Field(default=168, strict=True, ge=1, le=24 * 30)
    max_open: int = Field(default=10, strict=True, ge=1, le=MAX_MEMBERS - 1)
    max_a_day: int = Field(default=20, strict=True, ge=1, le=1_000)


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation of a phone into a family.

    Attributes:
        name: How the family is to call whoever accepts.
        is_closed: Whether it was accepted or revoked, or its family disbanded.
        is_declined: Whether whoever was invited has declined. The family is not told.
        accepted_by: The rider who accepted it, or None if nobody did.
    """

    invitation_id: str
    family_id: str
    phone_id: str
    name: str
    expires_at: datetime
    is_closed: bool = False
    is_declined: bool = False
    accepted_by: str | None = None

    def is_open(self, now: datetime) -> bool:
        """Returns whether it is open as its family sees it."""
        return not self.is_closed and self.expires_at > now

    def is_open_to(self, phone_id: str, now: datetime) -> bool:
        """Returns whether who has a phone may accept it."""
        return self.is_open(now) and not self.is_declined and self.phone_id == phone_id


@dataclass(frozen=True, slots=True)
class WaitingInvitation:
    """An open invitation as whoever is invited sees it."""

    invitation_id: str
    owner_name: str
    expires_at: datetime


def check_invitation(
    family: Family, limits: InvitationLimits, *, open_now: int, last_of_day: datetime | None, now: datetime
) -> None:
    """Checks that a family may send one more invitation.

    Args:
        family: The family.
        limits: How many there may be.
        open_now: Its open invitations, declined ones included, as the family does not know of these.
        last_of_day: When the latest but `max_a_day - 1` of the owner's was sent, or None if there are fewer.
        now: The present.

    Raises:
        FamilyFull: Members and open invitations are as many as a family can have members.
        TooManyInvitations: So many are open as may be.
        InvitationRateExceeded: So many were sent in the last 24 hours as may be.
    """
    if len(family.members) + open_now >= MAX_MEMBERS:
        raise FamilyFull(MAX_MEMBERS)
    if open_now >= limits.max_open:
        raise TooManyInvitations(limits.max_open)
    if last_of_day is not None and last_of_day > now - RATE_WINDOW:
        raise InvitationRateExceeded(limits.max_a_day, last_of_day + RATE_WINDOW - now)
