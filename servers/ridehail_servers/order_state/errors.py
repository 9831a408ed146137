"""Errors of order_state."""

from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import DomainError, InvalidRequest


class ServiceNotFound(DomainError):
    """No provider keeps orders of a service of this name."""

    def __init__(self, service: str) -> None:
        super().__init__("SERVICE_NOT_FOUND", "no such service keeps orders", {"service": service})


class ServiceNotOwned(DomainError):
    """The caller reports an order of a service that is not its own."""

    def __init__(self, caller: str, service: str) -> None:
        super().__init__(
            "SERVICE_NOT_OWNED",
            "the caller may not report orders of this service",
            {"caller": caller, "service": service},
        )


class OrderGivenTwice(InvalidRequest):
    """An app sent an order twice."""

    def __init__(self) -> None:
        super().__init__(
            [FieldViolation("known_orders", "must not have the same order of a service twice", "order_state.unique")]
        )
