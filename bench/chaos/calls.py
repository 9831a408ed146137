"""For each service with a database: a write that can be counted afterwards, and a read."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import psycopg
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import ListValue, Value

from bench.open_loop import Event, Stream
from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.eulas.v1 import eulas_pb2
from ridehail.family.v1 import family_api_pb2 as family
from ridehail.family.v1 import family_pb2
from ridehail.ordercore.v1 import order_core_api_pb2 as order_core
from ridehail.orderprovider.v1 import order_provider_api_pb2 as order_provider
from ridehail.orderstate.v1 import order_state_api_pb2 as order_state
from ridehail.protocol.v1 import protocol_api_pb2 as protocol
from ridehail.routesharing.v1 import route_sharing_api_pb2 as route_sharing
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail.userdata.v1 import user_data_api_pb2 as user_data
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.tickets import TicketIssuer

SHARED_ORDERS = 400
"""How many orders order-core has beforehand; their documents are written by many calls."""

KEY_BASE = 7_000_000_000_000


@dataclass(frozen=True)
class Calls:
    """A method of a service.

    Attributes:
        caller: Source of the tickets.
        path: `/package.Service/Method`.
        request: Makes the request of a key, a text of digits that no other call has.
        max_rate: Maximal calls a second, so that many services fit on a small machine.
    """

    service: str
    caller: str
    path: str
    request: Callable[[str], Message]
    max_rate: float = 300.0

    def stream(self, address: str, keys: KeyRing, numbers: Sequence[str], rate: float) -> Stream:
        """Returns a stream with one call for each key; `rate` is cut to `max_rate`."""
        ticket = TicketIssuer(keys, self.caller).issue(self.service)
        return Stream(
            name=f"{self.service} {self.path.rsplit('/', 1)[1]}",
            address=address,
            path=self.path,
            bodies=[self.request(number).SerializeToString() for number in numbers],
            rate=min(rate, self.max_rate),
            headers={"x-ya-service-ticket": ticket},
        )


@dataclass(frozen=True)
class Workload:
    """What the campaign does to a service.

    Attributes:
        write: Writes one row for each key.
        read: None if every read needs more than the service's own database.
        written: SQL that returns the key of every write, as often as it was written.
        task: A write whose effect a background task has.
        done: SQL that returns the key of everything that the task has done.
    """

    write: Calls
    read: Calls | None
    written: str
    task: Calls | None = None
    done: str = ""


def _set_order_fields(number: str) -> Message:
    # Not idempotent: applied twice, the mark is there twice.
    mark = ListValue(values=[Value(string_value=number)])
    return order_core.SetOrderFieldsRequest(order_id=shared_order(int(number)), push={"chaos.marks": mark})


def shared_order(number: int) -> str:
    return f"chaos-{number % SHARED_ORDERS}"


def _family(number: str) -> Message:
    admin = family_pb2.FamilyAdmin(yandex_uid=number, name="chaos")
    return family.CreateFamilyRequest(admin=admin, phone_id=f"phone-{number}")


def _decision(number: str) -> Message:
    decision = eulas_pb2.EulaDecision(eula_id="surge_il", status="accepted")
    return eulas.SaveEulasRequest(yandex_uid=number, eulas=[decision])


def _put_order(number: str) -> Message:
    return order_provider.PutOrderRequest(
        orderid=f"chaos-{number}", yandex_uid=number, status="cooking", parts={"full_info": "1"}, finished=False
    )


def _report_parts(number: str) -> Message:
    return order_state.ReportOrderPartsRequest(
        service="eats", orderid=f"chaos-{number}", yandex_uid=number, sequence=1, parts={"full_info": "1"}
    )


def _insert_order(number: str) -> Message:
    return route_sharing.EnqueueInsertOrderRequest(
        order_id=f"order-{number}", sharing_key=f"chaos-{number}", phone_ids=["phone-1"], yandex_uid=number
    )


def _save_order(number: str) -> Message:
    request = toll_roads.EnqueueOrderSaveRequest(
        order_id=f"chaos-{number}", can_switch_road=True, user_chose_toll_road=False
    )
    request.created.GetCurrentTime()
    return request


def _provider(service: str, schema: str) -> Workload:
    path = "/ridehail.orderprovider.v1.OrderProviderService"
    return Workload(
        write=Calls(service, "admin", f"{path}/PutOrder", _put_order, max_rate=60),
        read=Calls(
            service,
            "admin",
            f"{path}/ListActiveOrders",
            lambda number: order_provider.ListActiveOrdersRequest(yandex_uid=number),
        ),
        # Each call raises the sequence by one.
        written=f"SELECT yandex_uid FROM {schema}.orders, generate_series(1, sequence)",
    )


def _states(service: str, package: str, api: object, table: str) -> Workload:
    path = f"/ridehail.{package}.v1.{'UserStateService' if package == 'userstate' else 'ProtocolService'}"
    update: Callable[..., Message] = api.UpdatePersonalStateRequest  # type: ignore[attr-defined]  # two contracts alike
    get: Callable[..., Message] = api.GetPersonalStateRequest  # type: ignore[attr-defined]
    return Workload(
        write=Calls(
            service,
            "api-proxy",
            f"{path}/UpdatePersonalState",
            lambda number: update(yandex_uid=number, revision_id="0", selected_category="econom"),
            max_rate=60,
        ),
        read=Calls(service, "api-proxy", f"{path}/GetPersonalState", lambda number: get(yandex_uid=number)),
        written=f"SELECT yandex_uid FROM {table}",
    )


WORKLOADS: Mapping[str, Workload] = {
    "toll-roads": Workload(
        write=Calls(
            "toll-roads",
            "routestats",
            "/ridehail.tollroads.v1.TollRoadsService/SaveOffer",
            lambda number: toll_roads.SaveOfferRequest(offer_id=f"chaos-{number}"),
            max_rate=60,
        ),
        read=Calls(
            "toll-roads",
            "api-proxy",
            "/ridehail.tollroads.v1.TollRoadsService/RetrieveOrder",
            lambda number: toll_roads.RetrieveOrderRequest(order_id=f"unknown-{number}"),
        ),
        written="SELECT substr(offer_id, 7) FROM toll_roads.offers WHERE offer_id LIKE 'chaos-%'",
        task=Calls(
            "toll-roads",
            "processing",
            "/ridehail.tollroads.v1.TollRoadsService/EnqueueOrderSave",
            _save_order,
            max_rate=5,
        ),
        done="SELECT substr(order_id, 7) FROM toll_roads.log_has_toll_road WHERE order_id LIKE 'chaos-%'",
    ),
    "order-core": Workload(
        write=Calls(
            "order-core",
            "admin",
            "/ridehail.ordercore.v1.OrderCoreService/SetOrderFields",
            _set_order_fields,
            max_rate=60,
        ),
        read=Calls(
            "order-core",
            "admin",
            "/ridehail.ordercore.v1.OrderCoreService/GetOrderInfo",
            lambda number: order_core.GetOrderInfoRequest(order_id=shared_order(int(number))),
        ),
        written="SELECT jsonb_array_elements_text(document #> '{chaos,marks}') FROM order_core.orders",
    ),
    "eats-orders": _provider("eats-orders", "eats_orders"),
    "grocery-orders": _provider("grocery-orders", "grocery_orders"),
    "order-state": Workload(
        write=Calls(
            "order-state",
            "admin",
            "/ridehail.orderstate.v1.OrderStateService/ReportOrderParts",
            _report_parts,
            max_rate=100,
        ),
        read=None,
        written="SELECT yandex_uid FROM order_state.orders WHERE orderid LIKE 'chaos-%'",
    ),
    "eulas": Workload(
        write=Calls("eulas", "admin", "/ridehail.eulas.v1.EulasService/SaveEulas", _decision, max_rate=60),
        read=Calls(
            "eulas",
            "admin",
            "/ridehail.eulas.v1.EulasService/CheckEulas",
            lambda number: eulas.CheckEulasRequest(yandex_uid=number, eula_ids=["surge_il"]),
        ),
        written="SELECT yandex_uid FROM eulas.decisions",
    ),
    "family": Workload(
        write=Calls("family", "admin", "/ridehail.family.v1.FamilyService/CreateFamily", _family, max_rate=60),
        read=Calls(
            "family",
            "admin",
            "/ridehail.family.v1.FamilyService/GetFamily",
            lambda number: family.GetFamilyRequest(yandex_uid=number),
        ),
        written="SELECT yandex_uid FROM family.members",
    ),
    "route-sharing": Workload(
        write=Calls(
            "route-sharing",
            "processing",
            "/ridehail.routesharing.v1.RouteSharingService/EnqueueInsertOrder",
            _insert_order,
            max_rate=5,
        ),
        read=Calls(
            "route-sharing",
            "admin",
            "/ridehail.routesharing.v1.RouteSharingService/GetSharingInfo",
            lambda number: route_sharing.GetSharingInfoRequest(sharing_key=f"unknown-{number}"),
        ),
        written="SELECT substr(sharing_key, 7) FROM order_route_sharing.sharing_keys",
    ),
    "user-state": _states("user-state", "userstate", user_state, "user_state.personal_states"),
    "protocol": _states("protocol", "protocol", protocol, "protocol.users"),
    "user-data": Workload(
        write=Calls(
            "user-data",
            "admin",
            "/ridehail.userdata.v1.UserDataJobsService/StartUserErasure",
            lambda number: user_data.StartUserErasureRequest(yandex_uid=number, requested_by=f"chaos-{number}"),
            max_rate=5,
        ),
        read=None,
        # Of erasures that have ended as well.
        written="SELECT substr(requested_by, 7) FROM user_data.jobs",
    ),
}
"""Every service with a database."""


@dataclass
class Journal:
    """The keys of writes: those that were sent and those that were acknowledged."""

    sent: set[str] = field(default_factory=set)
    acknowledged: set[str] = field(default_factory=set)

    def note(self, numbers: Sequence[str], events: Iterable[Event]) -> None:
        """Adds the events of a stream whose calls have these keys."""
        for event in events:
            number = numbers[event.index % len(numbers)]
            self.sent.add(number)
            if event.is_acknowledged:
                self.acknowledged.add(number)

    def judge(self, found: Counter[str]) -> dict[str, int]:
        """Counts acknowledged, lost and doubled writes, by the number of each key in the database."""
        return {
            "acknowledged": len(self.acknowledged),
            "lost": len(self.acknowledged - found.keys()),
            "doubled": sum(1 for number in self.sent if found[number] > 1),
        }


class Keys:
    """Hands out keys that are used once."""

    def __init__(self) -> None:
        self._next = KEY_BASE

    def take(self, count: int) -> list[str]:
        first, self._next = self._next, self._next + count
        return [str(number) for number in range(first, self._next)]


def found_in(url: str, query: str) -> Counter[str]:
    """Returns each key that a query finds, and how often."""
    with psycopg.connect(url) as connection:
        return Counter(str(number) for (number,) in connection.execute(query.encode()))


async def settled(journal: Journal, url: str, query: str, *, within_s: float) -> dict[str, int]:
    """Judges a journal once nothing is lost, as background tasks may still run, or when the time is over."""
    ends = time.monotonic() + within_s
    while True:
        judged = journal.judge(await asyncio.to_thread(found_in, url, query))
        if judged["lost"] == 0 or time.monotonic() > ends:
            return judged
        await asyncio.sleep(0.5)
