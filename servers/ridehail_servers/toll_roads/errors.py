"""What toll_roads refuses."""

from ridehail_servers.chassis.errors import Code, DomainError


class OrderNotFound(DomainError):
    """There is no such order, or no road is known of it."""

    def __init__(self, order_id: str) -> None:
        super().__init__(Code.NOT_FOUND, "ORDER_NOT_FOUND", "no such order", {"order_id": order_id})
