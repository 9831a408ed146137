"""Clients of in-app communications."""

from __future__ import annotations

from ridehail.inapp.v1 import inapp_api_pb2 as api
from ridehail.inapp.v1 import inapp_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncInternalClient
from ridehail_clients._messages import inapp as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.card_models import PromosOnTheWay


class AsyncInappCommunicationsClient(AsyncInternalClient):
    """Which banners the card of a ride shows: `ridehail.inapp.v1.InappCommunicationsService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "inapp-communications"
    service = api.DESCRIPTOR.services_by_name["InappCommunicationsService"]

    def _connect(self) -> None:
        self._stub = api_grpc.InappCommunicationsServiceStub(self._channel)

    async def promos_on_the_way(
        self,
        *,
        order_id: str,
        sharing_key: str = "",
        share_ride_with_family: bool | None = None,
        family_role: str = "",
        locale: str = "",
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> PromosOnTheWay:
        """Lists the banners for the card of a ride under way; none while the state of a toggle cannot be told.

        Args:
            order_id: The order.
            sharing_key: The key under which the ride can be shared; empty: it has none.
            share_ride_with_family: What the rider has just set; None: nothing.
            family_role: The rider's role in a family, `user` or `owner`; empty: in none.
            locale: The languages, as in the header Accept-Language, at most 256 characters; empty: English.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The banners, and the set that they are of.
        """
        request = messages.promos_on_the_way_request(
            order_id=order_id,
            sharing_key=sharing_key,
            share_ride_with_family=share_ride_with_family,
            family_role=family_role,
            locale=locale,
        )
        answer = await self._transport.call(self._stub.PromosOnTheWay, request, timeout=timeout, metadata=metadata)
        return messages.promos_on_the_way(answer)
