"""Errors of api_proxy."""

from __future__ import annotations

from ridehail_servers.chassis.errors import DomainError


class OrderNotFound(DomainError):
    """No such order, or another passenger's."""

    def __init__(self, order_id: str) -> None:
        super().__init__("ORDER_NOT_FOUND", "no such order", {"order_id": order_id})
