"""What order_provider refuses."""

from ridehail_servers.chassis.errors import DomainError


class OrderOwnerMismatch(DomainError):
    """The order belongs to another passenger than the one that it is put for."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            "ORDER_OWNER_MISMATCH",
            "the order is another passenger's",
            {"order_id": order_id},
        )
