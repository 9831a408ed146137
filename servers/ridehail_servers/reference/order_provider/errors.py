"""What order_provider refuses."""

from ridehail_servers.chassis.errors import Code, DomainError


class OrderOwnerMismatch(DomainError):
    """The order belongs to another passenger than the one that it is put for."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            Code.FAILED_PRECONDITION,
            "ORDER_OWNER_MISMATCH",
            "the order is another passenger's",
            {"order_id": order_id},
        )
