"""Errors of family. Texts and metadata hold nothing personal."""

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
