"""order_core, as far as toll_roads needs it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from ridehail_clients import AsyncOrderCoreClient, JsonObject, JsonValue
from ridehail_clients import errors as client_errors
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import required_dependency
from ridehail_servers.chassis.errors import OrderNotFound

from .price_reset import CHANGES, FIXED_PRICE, PricedOrder, PriceReset

_OFFER = "order.request.offer"


class DocumentChanged(Exception):
    """The document has changed since it was read."""


class OrderCore:
    """Reads and changes orders' documents."""

    def __init__(self, client: AsyncOrderCoreClient) -> None:
        self._client = client

    async def offer_of(self, order_id: str) -> str | None:
        """Returns `order.request.offer`; None when the document has none.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: order_core has no such order.
            DependencyUnavailable: order_core does not answer, or answers an error that is not about this order.
        """
        with _errors_of(order_id):
            answer = await self._client.get_order_fields(
                order_id=order_id, fields=[_OFFER], timeout=share_of_remaining()
            )
        offer = _value_at(answer.fields, _OFFER)
        return offer if isinstance(offer, str) and offer else None

    async def price_of(self, order_id: str) -> PricedOrder:
        """Returns what a reset of the order's price depends on.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: order_core has no such order.
            DependencyUnavailable: order_core does not answer, or answers an error that is not about this order.
        """
        with _errors_of(order_id):
            answer = await self._client.get_order_fields(
                order_id=order_id, fields=[FIXED_PRICE, CHANGES], timeout=share_of_remaining()
            )
        changes = _value_at(answer.fields, CHANGES)
        return PricedOrder(
            version=answer.version,
            has_fixed_price=_value_at(answer.fields, FIXED_PRICE) is not None,
            changes=changes if isinstance(changes, list) else (),
        )

    async def reset_price(self, order_id: str, reset: PriceReset) -> None:
        """Makes the update, and has processing look at the order again; all of it or nothing.

        Args:
            order_id: The order.
            reset: The update.

        Raises:
            DocumentChanged: The document has changed since the update was decided; nothing was done.
            OrderNotFound: order_core has no such order.
            DependencyUnavailable: order_core does not answer: the update may have been made or not.
        """
        with _errors_of(order_id):
            await self._client.set_order_fields(
                order_id=order_id,
                expected_version=reset.expected_version,
                set=reset.set,
                unset=reset.unset,
                push=reset.push,
                increment=reset.increment,
                call_processing=True,
                timeout=share_of_remaining(),
            )


def _errors_of(order_id: str) -> AbstractContextManager[None]:
    return required_dependency(
        "order-core",
        {
            client_errors.OrderNotFound: lambda: OrderNotFound(order_id),
            client_errors.OrderVersionConflict: DocumentChanged,
        },
        # The document is not what order_core promises.
        defects=(client_errors.OrderFieldTypeMismatch, client_errors.InvalidRequest),
    )


def _value_at(fields: JsonObject, path: str) -> JsonValue:
    """Returns the value of a field; None also where there is no such field."""
    value: JsonValue = fields
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
