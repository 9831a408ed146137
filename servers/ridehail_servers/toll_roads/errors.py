"""The errors of toll_roads."""

from ridehail_servers.chassis.errors import DomainError


class RoadSwitchNotAllowed(DomainError):
    """The order's road cannot be switched."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            "ROAD_SWITCH_NOT_ALLOWED",
            "the road of this order cannot be switched",
            {"order_id": order_id},
        )


class RoadSwitchConflict(DomainError):
    """The order has a switch to the other road with the same `created`."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            "ROAD_SWITCH_CONFLICT",
            "the order has a switch of exactly this moment to the other road",
            {"order_id": order_id},
        )


class PriceChangesOutOfOrder(DomainError):
    """The price changes recorded in the order's document would not be ordered by `created`."""

    def __init__(self, order_id: str) -> None:
        super().__init__(
            "PRICE_CHANGES_OUT_OF_ORDER",
            "the order's price was changed at the moment of the switch or later",
            {"order_id": order_id},
        )
