"""Errors of route_sharing. Texts and metadata hold nothing personal, and no sharing keys."""

from ridehail_servers.chassis.errors import DomainError


class NotInFamily(DomainError):
    """The ride is to be shared with the rider's family, but the rider is in none."""

    def __init__(self) -> None:
        super().__init__("NOT_IN_FAMILY", "the rider is in no family")


class SharingKeyConflict(DomainError):
    """The sharing key is that of another order."""

    def __init__(self, order_id: str) -> None:
        super().__init__("SHARING_KEY_CONFLICT", "the sharing key is that of another order", {"order_id": order_id})


class SharingKeyNotFound(DomainError):
    """There is no such sharing key, or the ride is not shared with the passenger."""

    def __init__(self) -> None:
        super().__init__("SHARING_KEY_NOT_FOUND", "no such sharing key")
