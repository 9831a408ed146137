"""Errors of family. Texts and metadata hold nothing personal."""

from datetime import timedelta

from ridehail_servers.chassis.errors import DomainError


class FamilyNotFound(DomainError):
    """There is no such family, or the rider is in none."""

    def __init__(self) -> None:
        super().__init__("FAMILY_NOT_FOUND", "no such family")


class AlreadyInFamily(DomainError):
    """The rider is in a family already."""

    def __init__(self) -> None:
        super().__init__("ALREADY_IN_FAMILY", "the rider is in a family already")


class FamilyFull(DomainError):
    """The family has as many members as a family can have."""

    def __init__(self, max_members: int) -> None:
        super().__init__(
            "FAMILY_FULL",
            "the family has as many members as a family can have",
            {"max_members": str(max_members)},
        )


class FamilyAdminNotRemovable(DomainError):
    """The family's admin cannot be removed from it."""

    def __init__(self) -> None:
        super().__init__("FAMILY_ADMIN_NOT_REMOVABLE", "the family's admin cannot be removed from it")


class NotFamilyOwner(DomainError):
    """Only the family's owner may do this, and the passenger is another member."""

    def __init__(self) -> None:
        super().__init__("NOT_FAMILY_OWNER", "only the family's owner may do this")


class InvitationNotFound(DomainError):
    """There is no such open invitation, or it is not the passenger's. The two look the same."""

    def __init__(self) -> None:
        super().__init__("INVITATION_NOT_FOUND", "no such invitation")


class TooManyInvitations(DomainError):
    """The family has as many open invitations as it may have at a time."""

    def __init__(self, max_open: int) -> None:
        super().__init__(
            "TOO_MANY_INVITATIONS",
            "the family has as many open invitations as it may have at a time",
            {"max_open": str(max_open)},
        )


class InvitationRateExceeded(DomainError):
    """The passenger has sent as many invitations in 24 hours as one may."""

    def __init__(self, max_a_day: int, again_after: timedelta) -> None:
        super().__init__(
            "INVITATION_RATE_EXCEEDED",
            "as many invitations were sent in 24 hours as may be",
            {"max_a_day": str(max_a_day)},
            retry_after=again_after.total_seconds(),
        )


class SessionIncomplete(DomainError):
    """The passenger's session lacks what a member of a family needs."""

    def __init__(self, lacks: str) -> None:
        super().__init__("SESSION_INCOMPLETE", f"the session lacks {lacks}", {"lacks": lacks})
