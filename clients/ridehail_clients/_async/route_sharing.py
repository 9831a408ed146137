"""Clients of route sharing."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail.routesharing.v1 import route_sharing_api_pb2 as api
from ridehail.routesharing.v1 import route_sharing_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncInternalClient, AsyncPassengerClient
from ridehail_clients._messages import route_sharing as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.models import SharedRide, SharingInfo


class AsyncRouteSharingClient(AsyncInternalClient):
    """What other services ask and tell about shared rides: `ridehail.routesharing.v1.RouteSharingService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "route-sharing"
    service = api.DESCRIPTOR.services_by_name["RouteSharingService"]

    def _connect(self) -> None:
        self._stub = api_grpc.RouteSharingServiceStub(self._channel)

    async def share_with_family(
        self,
        *,
        order_id: str,
        sharing_key: str,
        share_ride_with_family: bool,
        yandex_uid: str | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> None:
        """Shares a ride with the rider's family, or stops to. The last call to be stored wins, whole.

        Args:
            order_id: The order.
            sharing_key: The key under which the ride is shared.
            share_ride_with_family: True: with the phones that the family's members, the rider excepted, have now.
                False: not with the family; phones that the order itself was shared with stay.
            yandex_uid: The rider; None: the one whose order it is.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            NotInFamily: On, but the rider is in no family.
            SharingKeyConflict: The key is that of another order.
            OrderNotFound: On, the rider is not given, and there is no such order.
            NeighbourUnavailable: family, or order_core, does not answer. Nothing is changed.
        """
        request = messages.share_with_family_request(
            order_id=order_id,
            sharing_key=sharing_key,
            share_ride_with_family=share_ride_with_family,
            yandex_uid=yandex_uid,
        )
        await self._transport.call(self._stub.ShareWithFamily, request, timeout=timeout, metadata=metadata)

    async def get_sharing_info(
        self, *, sharing_key: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> SharingInfo:
        """Tells whom a ride is shared with.

        Args:
            sharing_key: The key under which the ride is shared. One that is not known is shared with nobody.
            timeout: Seconds for the whole call.
            metadata: To send along.
        """
        request = api.GetSharingInfoRequest(sharing_key=sharing_key)
        answer = await self._transport.call(self._stub.GetSharingInfo, request, timeout=timeout, metadata=metadata)
        return messages.sharing_info(answer)

    async def enqueue_insert_order(
        self,
        *,
        order_id: str,
        sharing_key: str,
        phone_ids: Sequence[str] = (),
        yandex_uid: str | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> None:
        """Takes the phones that an order is shared with; returns as soon as the task that adds them is safely stored.

        Args:
            order_id: The order.
            sharing_key: The key under which the ride is shared.
            phone_ids: The phones, at most 100; empty: the key alone is made known.
            yandex_uid: The rider; None: not told.
            timeout: Seconds for the whole call.
            metadata: To send along.
        """
        request = messages.enqueue_insert_order_request(
            order_id=order_id, sharing_key=sharing_key, phone_ids=phone_ids, yandex_uid=yandex_uid
        )
        await self._transport.call(self._stub.EnqueueInsertOrder, request, timeout=timeout, metadata=metadata)


class AsyncPassengerRouteSharingClient(AsyncPassengerClient):
    """What the apps of those ask whom a ride is shared with: `ridehail.routesharing.v1.PassengerRouteSharingService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along: captions come in
    the language of `("accept-language", "he, en;q=0.8")`. Every method raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "route-sharing"
    service = api.DESCRIPTOR.services_by_name["PassengerRouteSharingService"]

    def _connect(self) -> None:
        self._stub = api_grpc.PassengerRouteSharingServiceStub(self._channel)

    async def get_info(self, *, sharing_key: str, timeout: float | None = None, metadata: Metadata = ()) -> SharedRide:
        """Tells what an app shows of a ride that is shared with the passenger, or is the passenger's own.

        Args:
            sharing_key: The key under which the ride is shared.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Raises:
            SharingKeyNotFound: There is no such key, or the ride is not shared with the passenger.
        """
        request = api.GetInfoRequest(sharing_key=sharing_key)
        answer = await self._transport.call(self._stub.GetInfo, request, timeout=timeout, metadata=metadata)
        return messages.shared_ride(answer)
