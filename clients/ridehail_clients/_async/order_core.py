"""Client of order core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from ridehail.ordercore.v1 import order_core_api_pb2 as api
from ridehail.ordercore.v1 import order_core_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncInternalClient
from ridehail_clients._messages import order_core as messages
from ridehail_clients._messages import order_provider as provider_messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.json_values import JsonInput
from ridehail_clients.models import ActiveOrders, OrderFields, OrderInfo


class AsyncOrderCoreClient(AsyncInternalClient):
    """Reads and writes order documents: `ridehail.ordercore.v1.OrderCoreService`.

    A field of a document is named by its path, as in `order.fixed_price.price`. Documents are plain JSON values; whole
    numbers from -(2^53 - 1) to 2^53 - 1.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "order-core"
    service = api.DESCRIPTOR.services_by_name["OrderCoreService"]

    def _connect(self) -> None:
        self._stub = api_grpc.OrderCoreServiceStub(self._channel)

    async def put_order(
        self,
        *,
        order_id: str,
        yandex_uid: str,
        document: Mapping[str, JsonInput],
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> int:
        """Stores a document whole, in place of an older one. For set-up.

        Args:
            order_id: The order.
            yandex_uid: The passenger whose order it is.
            document: The document; may be empty.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            `order.version` of the stored document; 1 when the document had none.

        Raises:
            ValueError: A number in the document is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something in the document is no JSON value.
        """
        request = messages.put_order_request(order_id=order_id, yandex_uid=yandex_uid, document=document)
        answer = await self._transport.call(self._stub.PutOrder, request, timeout=timeout, metadata=metadata)
        return answer.version

    async def get_order_fields(
        self, *, order_id: str, fields: Sequence[str], timeout: float | None = None, metadata: Metadata = ()
    ) -> OrderFields:
        """Reads some fields of a document.

        Args:
            order_id: The order.
            fields: Paths of the fields, 1 to 100.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The fields that the document has, and its version.

        Raises:
            OrderNotFound: No such order.
        """
        request = messages.get_order_fields_request(order_id=order_id, fields=fields)
        answer = await self._transport.call(self._stub.GetOrderFields, request, timeout=timeout, metadata=metadata)
        return messages.order_fields(answer)

    async def set_order_fields(
        self,
        *,
        order_id: str,
        expected_version: int | None = None,
        set: Mapping[str, JsonInput] = MappingProxyType({}),  # noqa: A002  # the contract's word
        unset: Sequence[str] = (),
        push: Mapping[str, Sequence[JsonInput]] = MappingProxyType({}),
        increment: Mapping[str, int] = MappingProxyType({}),
        call_processing: bool = False,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> int:
        """Changes fields of a document, all or none, in one atomic update. Never repeated by the client.

        Args:
            order_id: The order.
            expected_version: Apply only if the document is at this version; None: to whatever is there.
            set: Values to set, by path. Objects on the way are made.
            unset: Paths to remove.
            push: Elements to append to arrays, by path. A missing array is made.
            increment: Amounts to add to whole numbers, by path. A missing number counts as 0.
            call_processing: Whether processing is told to look at the order again.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            `order.version` after the update.

        Raises:
            OrderNotFound: No such order.
            OrderVersionConflict: The document is at another version: read again and decide again.
            OrderFieldTypeMismatch: The document holds a value of another kind than the update needs.
            ValueError: A number to store is not finite, or whole and beyond 2^53 - 1.
            TypeError: Something to store is no JSON value.
        """
        request = messages.set_order_fields_request(
            order_id=order_id,
            expected_version=expected_version,
            set_values=set,
            unset=unset,
            push=push,
            increment=increment,
            call_processing=call_processing,
        )
        answer = await self._transport.call(self._stub.SetOrderFields, request, timeout=timeout, metadata=metadata)
        return answer.version

    async def get_order_info(
        self, *, order_id: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> OrderInfo:
        """Tells what a caller needs to show an order.

        Args:
            order_id: The order.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The passenger, the status and the sharing key of the order.

        Raises:
            OrderNotFound: No such order.
        """
        request = api.GetOrderInfoRequest(order_id=order_id)
        answer = await self._transport.call(self._stub.GetOrderInfo, request, timeout=timeout, metadata=metadata)
        return messages.order_info(answer)

    async def list_active_orders(
        self, *, yandex_uid: str, timeout: float | None = None, metadata: Metadata = ()
    ) -> ActiveOrders:
        """Lists a passenger's taxi orders that are under way.

        Args:
            yandex_uid: The passenger.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The orders, the oldest first, at most 100.
        """
        request = api.ListActiveOrdersRequest(yandex_uid=yandex_uid)
        answer = await self._transport.call(self._stub.ListActiveOrders, request, timeout=timeout, metadata=metadata)
        return provider_messages.active_orders(answer)
