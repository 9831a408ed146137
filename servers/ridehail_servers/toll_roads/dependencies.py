"""Calls to order_core."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from datetime import datetime

import tenacity

from ridehail_clients import AsyncOrderCoreClient, JsonObject, JsonValue
from ridehail_clients import errors as client_errors
from ridehail_kernel import call_context
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_servers.chassis.dependency_calls import required_dependency
from ridehail_servers.chassis.errors import DependencyUnavailable, OrderNotFound

from .price_reset import CHANGES, FIXED_PRICE, PricedOrder, price_reset

_OFFER = "order.request.offer"
_MAX_ATTEMPTS = 4
_MIN_WAIT_S = 0.02
_MAX_WAIT_S = 0.5
# All attempts together.
_MAX_RESET_S = 5.0


class _DocumentChanged(Exception):
    """The document has changed since it was read."""


class OrderCore:
    """Reads and changes orders' documents.

    Every method raises `OrderNotFound` if order_core has no such order, and `DependencyUnavailable` if order_core does
    not respond or reports an error that is not about this order.
    """

    def __init__(self, client: AsyncOrderCoreClient) -> None:
        self._client = client

    async def offer_of(self, order_id: str) -> str | None:
        """Returns `order.request.offer`, or None if the document has none."""
        fields, _version = await self._read(order_id, _OFFER)
        offer = _value_at(fields, _OFFER)
        return offer if isinstance(offer, str) and offer else None

    async def reset_price(self, order_id: str, *, created: datetime, first_created: datetime) -> None:
        """Resets the order's fixed price if it has one, at most once for each switch.

        An update that may or may not have been made, and one that came too late, are decided anew by what the document
        is then; so a repeat is safe, this method's own and the caller's.

        Args:
            order_id: The order.
            created: Of the switch that asks for it.
            first_created: Of the order's first road.

        Raises:
            PriceChangesOutOfOrder: See `price_reset`.
            DependencyUnavailable: Also if others change the document all the time.
        """
        timeout_s = share_of_remaining(at_most=_MAX_RESET_S)
        attempts = tenacity.AsyncRetrying(
            stop=tenacity.stop_after_attempt(_MAX_ATTEMPTS) | tenacity.stop_before_delay(timeout_s),
            wait=tenacity.wait_random_exponential(multiplier=_MIN_WAIT_S, max=_MAX_WAIT_S),
            retry=tenacity.retry_if_exception_type((_DocumentChanged, DependencyUnavailable)),
            reraise=True,
        )
        try:
            with call_context.call_context(deadline=time.monotonic() + timeout_s):
                await attempts(self._try_reset, order_id, created, first_created)
        except _DocumentChanged as error:
            raise DependencyUnavailable("order-core") from error

    async def _try_reset(self, order_id: str, created: datetime, first_created: datetime) -> None:
        fields, version = await self._read(order_id, FIXED_PRICE, CHANGES)
        changes = _value_at(fields, CHANGES)
        order = PricedOrder(
            version=version,
            has_fixed_price=_value_at(fields, FIXED_PRICE) is not None,
            changes=changes if isinstance(changes, list) else (),
        )
        reset = price_reset(order_id, order, created=created, first_created=first_created)
        if reset is None:
            return
        with _translate_errors(order_id):
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

    async def _read(self, order_id: str, *fields: str) -> tuple[JsonObject, int]:
        with _translate_errors(order_id):
            response = await self._client.get_order_fields(
                order_id=order_id, fields=fields, timeout=share_of_remaining()
            )
        return response.fields, response.version


def _translate_errors(order_id: str) -> AbstractContextManager[None]:
    return required_dependency(
        "order-core",
        {
            client_errors.OrderNotFound: lambda: OrderNotFound(order_id),
            client_errors.OrderVersionConflict: _DocumentChanged,
        },
        # The document is not what order_core promises.
        defects=(client_errors.OrderFieldTypeMismatch, client_errors.InvalidRequest),
    )


def _value_at(fields: JsonObject, path: str) -> JsonValue:
    """Returns the value of a field, or None if there is no such field."""
    value: JsonValue = fields
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
