"""order_core, as far as toll_roads needs it."""

from __future__ import annotations

from ridehail_clients import AsyncOrderCoreClient, JsonValue, call_context
from ridehail_clients import errors as client_errors
from ridehail_servers.chassis.errors import NeighbourUnavailable

from .errors import OrderNotFound

_OFFER = "order.request.offer"
# Of what is left of the call's time: the rest is for the answer that order_core does not answer.
_WAIT_SHARE = 0.8


class OrderCoreOffers:
    """Reads an order's offer from its document."""

    def __init__(self, order_core: AsyncOrderCoreClient) -> None:
        self._order_core = order_core

    async def offer_of(self, order_id: str) -> str | None:
        """Returns `order.request.offer`; None when the document has none.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: order_core has no such order.
            NeighbourUnavailable: order_core does not answer, or answers an error that is not about this order.
        """
        remaining = call_context.remaining()
        timeout = None if remaining is None else remaining * _WAIT_SHARE
        try:
            answer = await self._order_core.get_order_fields(order_id=order_id, fields=[_OFFER], timeout=timeout)
        except client_errors.OrderNotFound as error:
            raise OrderNotFound(order_id) from error
        except client_errors.ServiceError as error:
            raise NeighbourUnavailable("order-core") from error
        offer: JsonValue = answer.fields
        for name in _OFFER.split("."):
            offer = offer.get(name) if isinstance(offer, dict) else None
        return offer if isinstance(offer, str) and offer else None
