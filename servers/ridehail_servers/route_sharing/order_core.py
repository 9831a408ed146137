"""order_core, as far as route_sharing needs it."""

from __future__ import annotations

from ridehail_clients import AsyncOrderCoreClient, InvalidRequest, ServiceError
from ridehail_clients import OrderNotFound as NoSuchOrder
from ridehail_kernel import call_context
from ridehail_servers.chassis.errors import DependencyUnavailable

from .errors import OrderNotFound

# Of what is left of the call's time: the rest is for family, and for storing what it answers.
_WAIT_SHARE = 0.4


class OrderCore:
    """Tells whose orders are."""

    def __init__(self, client: AsyncOrderCoreClient) -> None:
        self._client = client

    async def rider_of(self, order_id: str) -> str:
        """Returns the rider's account.

        Args:
            order_id: The order.

        Raises:
            OrderNotFound: There is no such order.
            DependencyUnavailable: order_core does not answer.
        """
        remaining = call_context.remaining()
        timeout = None if remaining is None else remaining * _WAIT_SHARE
        try:
            return (await self._client.get_order_info(order_id=order_id, timeout=timeout)).yandex_uid
        except NoSuchOrder as error:
            raise OrderNotFound(order_id) from error
        except InvalidRequest:
            raise  # both contracts have the same rule for an order, so it is reported as a defect
        except ServiceError as error:
            raise DependencyUnavailable("order-core") from error
