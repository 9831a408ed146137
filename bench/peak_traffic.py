"""Who calls toll_roads and eulas at the peak, how often, and what they send.

Sources: the loads in the designs of toll-roads (retrieve 4200 a second, offers 100, switches 10) and of eulas (2000, of
them launch 500 and routestats 600).
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from google.protobuf.message import Message

from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.eulas.v1.eulas_pb2 import EulaCheck
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail_kernel.metadata_keys import TICKET_KEY
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.chassis.timestamps import to_timestamp

from .open_loop import Stream
from .tables import PEAK_OFFERS, random_id

KINDS = ("RetrieveOrder", "ListEulas", "CheckEulas", "SaveOffer", "SwitchRoad")
SWITCHES_PER_S = 10.0

_TOLL_ROADS = "/ridehail.tollroads.v1.TollRoadsService"
_SWITCH = "/ridehail.tollroads.v1.PassengerTollRoadsService/SwitchRoad"
_EULAS = "/ridehail.eulas.v1.EulasService"
_TYPES = ("surge", "child_seat")
_ZONE = "tel_aviv"
_MESSAGES = 50_000
_SEED = 1


class PeakTraffic:
    """Makes the streams of the peak, all from one source of chance."""

    def __init__(self, address: str, keys: KeyRing, *, orders: int, users: int, single_checks: bool) -> None:
        """Calls the server at an address about so many orders and users, of whom it checks one by one if told so."""
        self._address = address
        self._keys = keys
        self._orders = orders
        self._users = users
        self._single_checks = single_checks
        self._chance = random.Random(_SEED)

    def streams(self, factor: float, seconds: float, switchable: Sequence[int]) -> list[Stream]:
        """Returns `factor` times the peak, named by its kinds.

        Args:
            factor: 1 for the peak itself.
            seconds: For how long it will be sent.
            switchable: Numbers of orders whose road can be switched, each once.
        """
        return [
            self._lookups("api-proxy", 4000 * factor, pods=5),
            self._lookups("driver-orders-builder", 200 * factor, pods=1),
            self._list_eulas(950 * factor),
            self._check_eulas("routestats", 600 * factor, pods=3),
            self._check_eulas("api-proxy", 450 * factor, pods=5),
            self._save_offers(100 * factor, seconds),
            self._switches(SWITCHES_PER_S * factor, switchable),
        ]

    def _lookups(self, source: str, rate: float, *, pods: int) -> Stream:
        return self._stream(
            f"{_TOLL_ROADS}/BatchRetrieveOrders",
            kind="RetrieveOrder",
            rate=rate,
            source=source,
            service="toll-roads",
            pods=pods,
            bodies=(
                toll_roads.BatchRetrieveOrdersRequest(order_ids=[self._some_id(self._orders)]) for _ in range(_MESSAGES)
            ),
            coalesce=True,
        )

    def _list_eulas(self, rate: float) -> Stream:
        return self._stream(
            f"{_EULAS}/ListEulas",
            rate=rate,
            source="api-proxy",
            service="eulas",
            pods=5,
            bodies=(
                eulas.ListEulasRequest(yandex_uid=self._some_id(self._users), filter="unknown", zone_name=_ZONE)
                for _ in range(_MESSAGES)
            ),
        )

    def _check_eulas(self, source: str, rate: float, *, pods: int) -> Stream:
        checks = (EulaCheck(yandex_uid=self._some_id(self._users), eula_types=_TYPES) for _ in range(_MESSAGES))
        singles = (eulas.CheckEulasRequest(yandex_uid=one.yandex_uid, eula_types=one.eula_types) for one in checks)
        batches = (eulas.BatchCheckEulasRequest(checks=[one]) for one in checks)
        return self._stream(
            f"{_EULAS}/{'CheckEulas' if self._single_checks else 'BatchCheckEulas'}",
            kind="CheckEulas",
            rate=rate,
            source=source,
            service="eulas",
            pods=pods,
            bodies=singles if self._single_checks else batches,
            coalesce=not self._single_checks,
        )

    def _save_offers(self, rate: float, seconds: float) -> Stream:
        return self._stream(
            f"{_TOLL_ROADS}/SaveOffer",
            rate=rate,
            source="routestats",
            service="toll-roads",
            pods=3,
            bodies=(
                toll_roads.SaveOfferRequest(offer_id=f"{PEAK_OFFERS}{uuid.uuid4().hex}")
                for _ in range(round(rate * seconds) + 1)
            ),
        )

    def _switches(self, rate: float, switchable: Sequence[int]) -> Stream:
        """Each switches an order to the free road, which resets its price in order-core."""
        created = to_timestamp(datetime.now(UTC))
        bodies = _encoded(
            toll_roads.SwitchRoadRequest(order_id=random_id(number), has_toll_road=False, created=created)
            for number in switchable
        )
        issue = TicketIssuer(self._keys, "gateway").issue
        tickets = [issue("toll-roads", passenger=Identity(str(number))) for number in switchable]
        return Stream(
            "SwitchRoad",
            self._address,
            _SWITCH,
            bodies,
            rate,
            deadline_s=5.0,
            each=(TICKET_KEY, tickets),
            connections=2,
        )

    def _stream(
        self,
        path: str,
        *,
        rate: float,
        source: str,
        service: str,
        pods: int,
        bodies: Iterable[Message],
        kind: str = "",
        coalesce: bool = False,
    ) -> Stream:
        """Returns the calls of a consumer that has so many processes; they are of the method's kind by default."""
        return Stream(
            kind or path.rpartition("/")[2],
            self._address,
            path,
            _encoded(bodies),
            rate,
            headers={TICKET_KEY: TicketIssuer(self._keys, source).issue(service)},
            connections=pods,
            coalesce=coalesce,
        )

    def _some_id(self, stored: int) -> str:
        return random_id(self._chance.randint(1, stored))


def _encoded(messages: Iterable[Message]) -> list[bytes]:
    return [message.SerializeToString() for message in messages]
