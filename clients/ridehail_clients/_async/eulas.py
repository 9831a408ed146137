"""Clients of eulas."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_api_pb2_grpc as api_grpc
from ridehail_clients._async.service_client import AsyncInternalClient, AsyncPassengerClient
from ridehail_clients._messages import eulas as messages
from ridehail_clients.call_metadata import Metadata
from ridehail_clients.models import Eula, EulaDecision, EulaFilter, EulaStatus


class AsyncEulasClient(AsyncInternalClient):
    """What other services ask about users' agreements: `ridehail.eulas.v1.EulasService`.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along. Every method
    raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "eulas"
    service = api.DESCRIPTOR.services_by_name["EulasService"]

    def _connect(self) -> None:
        self._stub = api_grpc.EulasServiceStub(self._channel)

    async def list_eulas(
        self,
        *,
        yandex_uid: str,
        filter: EulaFilter,  # noqa: A002  # the contract's word
        zone_name: str | None = None,
        country: str | None = None,
        tariffs: Sequence[str] = (),
        locale: str = "",
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> tuple[Eula, ...]:
        """Lists a user's agreements.

        Args:
            yandex_uid: The user.
            filter: Which agreements.
            zone_name: Where the user is; needed for `UNKNOWN` and `ALL`.
            country: As agreements are configured with ("isr"); None: that of the zone.
            tariffs: Only agreements that concern one of these, at most 100, or any tariff; empty: all.
            locale: The language of titles and texts, as in the header Accept-Language; empty: English.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The agreements: those that are configured in the order of the configuration, then the others by id.

        Raises:
            InvalidRequest: `UNKNOWN` or `ALL` without a zone.
        """
        request = messages.list_eulas_request(
            yandex_uid=yandex_uid, filter=filter, zone_name=zone_name, country=country, tariffs=tariffs, locale=locale
        )
        answer = await self._transport.call(self._stub.ListEulas, request, timeout=timeout, metadata=metadata)
        return messages.eulas(answer.eulas)

    async def save_eulas(
        self,
        *,
        yandex_uid: str,
        eulas: Sequence[EulaDecision],
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> tuple[str, ...]:
        """Saves a user's answers, all of them or none. The last to arrive wins; within a call the last one.

        Args:
            yandex_uid: The user.
            eulas: The answers, 1 to 100.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            What the app should ask again, because the answers change it: `routestats`, or nothing.

        Raises:
            EulaNotFound: An agreement is not configured.
            EulaNotRejectable: An agreement must not be rejected.
        """
        request = messages.save_eulas_request(yandex_uid=yandex_uid, eulas=eulas)
        answer = await self._transport.call(self._stub.SaveEulas, request, timeout=timeout, metadata=metadata)
        return tuple(answer.refresh)

    async def check_eulas(
        self,
        *,
        yandex_uid: str,
        eula_ids: Sequence[str] = (),
        eula_types: Sequence[str] = (),
        zone_name: str | None = None,
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> tuple[EulaStatus, ...]:
        """Returns the user's status with certain agreements, or with certain types.

        A type is accepted if one of its agreements is, else rejected if one is, else unknown. What is not configured is
        unknown.

        Args:
            yandex_uid: The user.
            eula_ids: The agreements, at most 100. Either these or `eula_types`.
            eula_types: The types, at most 100. Either these or `eula_ids`.
            zone_name: Only agreements that apply in this zone count for their type; None: all count.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            One entry for each distinct id or type, in the order given.

        Raises:
            InvalidRequest: Not exactly one of the two is given.
        """
        request = messages.check_eulas_request(
            yandex_uid=yandex_uid, eula_ids=eula_ids, eula_types=eula_types, zone_name=zone_name
        )
        answer = await self._transport.call(self._stub.CheckEulas, request, timeout=timeout, metadata=metadata)
        return messages.eula_statuses(answer.eulas)


class AsyncPassengerEulasClient(AsyncPassengerClient):
    """What a user's app asks and saves: `ridehail.eulas.v1.PassengerEulasService`, by the gateway.

    `AsyncEulasFlow` keeps what could not be saved and repeats it; this class makes single calls.

    Every method takes `timeout`, the seconds for the whole call, repeats included (default: the contract's deadline;
    never beyond the deadline of the incoming call, see `call_context`), and `metadata` to send along: titles and texts
    come in the language of `("accept-language", "he, en;q=0.8")`. Every method raises `ServiceError` subclasses.

    The constructor is that of its base.
    """

    service_name = "eulas"
    service = api.DESCRIPTOR.services_by_name["PassengerEulasService"]

    def _connect(self) -> None:
        self._stub = api_grpc.PassengerEulasServiceStub(self._channel)

    async def list_eulas(
        self,
        *,
        filter: EulaFilter,  # noqa: A002  # the contract's word
        zone_name: str | None = None,
        country: str | None = None,
        tariffs: Sequence[str] = (),
        timeout: float | None = None,
        metadata: Metadata = (),
    ) -> tuple[Eula, ...]:
        """Lists the user's agreements.

        Args:
            filter: Which agreements.
            zone_name: Where the user is; needed for `UNKNOWN` and `ALL`.
            country: As agreements are configured with ("isr"); None: that of the zone.
            tariffs: Only agreements that concern one of these, at most 100, or any tariff; empty: all.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            The agreements: those that are configured in the order of the configuration, then the others by id.

        Raises:
            InvalidRequest: `UNKNOWN` or `ALL` without a zone.
        """
        request = messages.passenger_list_eulas_request(
            filter=filter, zone_name=zone_name, country=country, tariffs=tariffs
        )
        answer = await self._transport.call(self._stub.ListEulas, request, timeout=timeout, metadata=metadata)
        return messages.eulas(answer.eulas)

    async def save_eulas(
        self, *, eulas: Sequence[EulaDecision], timeout: float | None = None, metadata: Metadata = ()
    ) -> tuple[str, ...]:
        """Saves the user's answers, all of them or none. The last to arrive wins; within a call the last one.

        Args:
            eulas: The answers, 1 to 100.
            timeout: Seconds for the whole call.
            metadata: To send along.

        Returns:
            What the app should ask again, because the answers change it: `routestats`, or nothing.

        Raises:
            EulaNotFound: An agreement is not configured.
            EulaNotRejectable: An agreement must not be rejected.
        """
        request = messages.passenger_save_eulas_request(eulas)
        answer = await self._transport.call(self._stub.SaveEulas, request, timeout=timeout, metadata=metadata)
        return tuple(answer.refresh)
