"""The cases. A new one is a function that starts its servers and yields the contenders, and an entry in `CASES`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from google.protobuf import json_format

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.eulas.v1 import eulas_api_pb2 as eulas
from ridehail.orderstate.v1 import order_state_api_pb2 as order_state
from ridehail.tollroads.v1 import toll_roads_api_pb2 as toll_roads
from ridehail.userstate.v1 import user_state_api_pb2 as user_state

from .comparison import Contender, Figures, Goal
from .harness import Harness
from .tables import RIDER, random_id

_RETRIEVE = "/ridehail.tollroads.v1.TollRoadsService/RetrieveOrder"
_BATCH_RETRIEVE = "/ridehail.tollroads.v1.TollRoadsService/BatchRetrieveOrders"
_BATCH = 100
_CHECK = "/ridehail.eulas.v1.EulasService/CheckEulas"
_LIST = "/ridehail.eulas.v1.EulasService/ListEulas"
_POLL = "/ridehail.orderstate.v1.PassengerOrderStateService/PollOrdersState"
_GET_STATE = "/ridehail.userstate.v1.UserStateService/GetPersonalState"
_PERSONAL_STATE = "/ridehail.apiproxy.v1.PersonalStateService/PersonalState"
_TYPES = ("surge", "child_seat")
_ZONE = "tel_aviv"
_CARD = "/ridehail.apiproxy.v1.TaxiOnTheWayService/TaxiOnTheWay"
# So few that the warm-up caches the banners of each.
_RIDES = 1_000


@dataclass(frozen=True)
class Case:
    """Something to measure: what `contenders` starts runs for the length of the block."""

    title: str
    contenders: Callable[[Harness], AbstractContextManager[Sequence[Contender]]]
    goals: Sequence[Goal]


def _one_order(some_order: Callable[[], str]) -> bytes:
    return toll_roads.RetrieveOrderRequest(order_id=some_order()).SerializeToString()


def _many_orders(some_order: Callable[[], str]) -> bytes:
    return toll_roads.BatchRetrieveOrdersRequest(order_ids=[some_order() for _ in range(_BATCH)]).SerializeToString()


def _one_order_as_json(some_order: Callable[[], str]) -> bytes:
    return json.dumps({"order_id": some_order()}).encode()


@contextmanager
def _retrieve_order(harness: Harness) -> Iterator[Sequence[Contender]]:
    url = harness.tables.database(harness.orders)
    with (
        harness.servers.ridehail("toll-roads", database_url=url) as ours,
        harness.servers.fastapi("fastapi_toll_roads", database_url=url) as fastapi,
        harness.servers.null("bare") as bare,
        harness.servers.null("chassis") as chassis,
    ):
        yield (
            harness.contender("ridehail", ours, _RETRIEVE, _one_order),
            harness.contender("fastapi", fastapi, "/toll-roads/v1/order/retrieve", _one_order_as_json),
            harness.contender("null handler", bare, _RETRIEVE, _one_order),
            harness.contender("null + chassis", chassis, _RETRIEVE, _one_order),
        )


@contextmanager
def _batches(harness: Harness) -> Iterator[Sequence[Contender]]:
    with harness.servers.ridehail("toll-roads", database_url=harness.tables.database(harness.orders)) as ours:
        yield (
            harness.contender("single calls", ours, _RETRIEVE, _one_order),
            harness.contender(
                "batches", ours, _BATCH_RETRIEVE, _many_orders, orders_per_request=_BATCH, messages=2_000
            ),
        )


@contextmanager
def _table_sizes(harness: Harness) -> Iterator[Sequence[Contender]]:
    small, large = harness.sizes
    with (
        harness.servers.ridehail("toll-roads", database_url=harness.tables.database(small)) as few,
        harness.servers.ridehail("toll-roads", database_url=harness.tables.database(large)) as many,
    ):
        yield (
            harness.contender(f"{small:,} orders", few, _RETRIEVE, _one_order, orders=small),
            harness.contender(f"{large:,} orders", many, _RETRIEVE, _one_order, orders=large),
        )


def _agreements(
    path: str,
    request: Callable[[str], eulas.CheckEulasRequest | eulas.ListEulasRequest],
    http_path: str,
    **fields: object,
) -> Callable[[Harness], AbstractContextManager[Sequence[Contender]]]:
    """Returns what starts the servers of a case about eulas; `fields` are sent to FastAPI beside the user."""

    @contextmanager
    def contenders(harness: Harness) -> Iterator[Sequence[Contender]]:
        url = harness.tables.agreements(harness.orders)

        def message(some_user: Callable[[], str]) -> bytes:
            return request(some_user()).SerializeToString()

        def json_message(some_user: Callable[[], str]) -> bytes:
            return json.dumps({"yandex_uid": some_user(), **fields}).encode()

        with (
            harness.servers.ridehail("eulas", database_url=url) as ours,
            harness.servers.fastapi("fastapi_eulas", database_url=url) as fastapi,
            harness.servers.null("bare") as bare,
        ):
            yield (
                harness.contender("ridehail", ours, path, message, service="eulas"),
                harness.contender("fastapi", fastapi, http_path, json_message),
                harness.contender("null handler", bare, _RETRIEVE, _one_order),
            )

    return contenders


# Of five orders each.
_RIDERS = 100_000
# The app has two of the three parts of each order.
_KNOWN_SERVICES = ("taxi", "taxi", "taxi", "eats", "grocery")
_KNOWN_TAGS = {"fast_info": "1590674416", "part2": "1590674416", "route": "1590674415"}


def _known_orders(uid: str) -> list[dict[str, object]]:
    return [
        {"orderid": f"{uid}-{number}", "service": service, "status": "driving", "tags": _KNOWN_TAGS}
        for number, service in enumerate(_KNOWN_SERVICES, start=1)
    ]


def _poll(uid: str) -> bytes:
    return json_format.ParseDict(
        {"known_orders": _known_orders(uid)}, order_state.PollOrdersStateRequest()
    ).SerializeToString()


@contextmanager
def _polls(harness: Harness) -> Iterator[Sequence[Contender]]:
    riders = min(harness.orders, _RIDERS)
    url = harness.tables.orders_state(riders)
    with (
        harness.servers.ridehail("order-state", database_url=url) as ours,
        harness.servers.fastapi("fastapi_order_state", database_url=url) as fastapi,
        harness.servers.null("bare") as bare,
    ):
        yield (
            harness.passengers_contender("ridehail", ours, _POLL, _poll, service="order-state", riders=riders),
            harness.passengers_contender(
                "fastapi",
                fastapi,
                "/mlutp/v1/orders/state",
                lambda uid: json.dumps({"known_orders": _known_orders(uid)}).encode(),
                service=None,
                riders=riders,
            ),
            harness.contender("null handler", bare, _RETRIEVE, _one_order),
        )


def _one_card(some_order: Callable[[], str]) -> bytes:
    return api_proxy.TaxiOnTheWayRequest(order_id=some_order()).SerializeToString()


@contextmanager
def _cards(harness: Harness) -> Iterator[Sequence[Contender]]:
    rides = min(harness.orders, _RIDES)
    url = harness.tables.rides(rides)
    others = ("order-core", "toll-roads", "family", "route-sharing", "inapp-communications")
    with (
        harness.servers.ridehail(*others, database_url=url) as dependencies,
        harness.servers.ridehail("api-proxy", database_url=url, dependencies=dependencies) as ours,
        harness.servers.null("bare") as bare,
    ):
        yield (
            harness.contender("card", ours, _CARD, _one_card, service="api-proxy", rider=RIDER, orders=rides),
            harness.contender("null handler", bare, _RETRIEVE, _one_order),
        )


def _one_state(some_user: Callable[[], str]) -> bytes:
    return user_state.GetPersonalStateRequest(yandex_uid=some_user()).SerializeToString()


def _one_state_as_json(some_user: Callable[[], str]) -> bytes:
    return json.dumps({"yandex_uid": some_user()}).encode()


@contextmanager
def _personal_states(harness: Harness) -> Iterator[Sequence[Contender]]:
    url = harness.tables.personal_states(harness.orders)
    with (
        harness.servers.ridehail("user-state", database_url=url) as ours,
        harness.servers.fastapi("fastapi_user_state", database_url=url) as fastapi,
        harness.servers.null("bare") as bare,
    ):
        yield (
            harness.contender("ridehail", ours, _GET_STATE, _one_state, service="user-state"),
            harness.contender("fastapi", fastapi, "/v1/personalstate/get", _one_state_as_json),
            harness.contender("null handler", bare, _RETRIEVE, _one_order),
        )


def _one_read(_some_user: Callable[[], str]) -> bytes:
    return api_proxy.PersonalStateRequest().SerializeToString()


@contextmanager
def _compared_states(harness: Harness) -> Iterator[Sequence[Contender]]:
    url = harness.tables.both_back_ends(harness.orders)
    services = ("api-proxy", "protocol", "user-state")
    everybody = harness.servers.with_experiments("userstate-personalstate-enabled")
    rider = random_id(1)
    with (
        harness.servers.ridehail(*services, database_url=url, config=everybody) as both,
        harness.servers.ridehail(*services, database_url=url) as old,
    ):
        yield (
            harness.contender("both, compared", both, _PERSONAL_STATE, _one_read, service="api-proxy", rider=rider),
            harness.contender("old alone", old, _PERSONAL_STATE, _one_read, service="api-proxy", rider=rider),
        )


def _growth(figures: Mapping[str, Figures]) -> float:
    small, large = (one.server_us + one.postgres_us for one in figures.values())
    return large / small


_PEERS = (
    Goal(
        "requests/s, ridehail / fastapi",
        lambda by: by["ridehail"].requests_per_s / by["fastapi"].requests_per_s,
        1.3,
        at_least=True,
    ),
    Goal(
        "server CPU a request, ridehail / null handler",
        lambda by: by["ridehail"].server_us / by["null handler"].server_us,
        1.8,
        at_least=False,
    ),
)

CASES = {
    "retrieve": Case(
        "RetrieveOrder, one random order a call",
        _retrieve_order,
        _PEERS,
    ),
    "batch": Case(
        f"BatchRetrieveOrders of {_BATCH} against single calls",
        _batches,
        (
            Goal(
                "orders/s, batches / single calls",
                lambda by: by["batches"].requests_per_s * _BATCH / by["single calls"].requests_per_s,
                20,
                at_least=True,
            ),
        ),
    ),
    "sizes": Case(
        "RetrieveOrder on small and on large tables",
        _table_sizes,
        (Goal("CPU of server and Postgres a request, large / small", _growth, 1.1, at_least=False),),
    ),
    "check-eulas": Case(
        f"CheckEulas of {len(_TYPES)} types, one random user a call",
        _agreements(
            _CHECK,
            lambda uid: eulas.CheckEulasRequest(yandex_uid=uid, eula_types=_TYPES),
            "/v1/check",
            eula_types=_TYPES,
        ),
        _PEERS,
    ),
    "list-eulas": Case(
        "ListEulas(unknown), one random user a call",
        _agreements(
            _LIST,
            lambda uid: eulas.ListEulasRequest(yandex_uid=uid, filter="unknown", zone_name=_ZONE),
            "/v1/list",
            zone_name=_ZONE,
        ),
        _PEERS,
    ),
    "poll-orders": Case(
        f"PollOrdersState of {len(_KNOWN_SERVICES)} orders of {len(_KNOWN_TAGS)} parts, one random rider a call",
        _polls,
        _PEERS,
    ),
    "taxi-on-the-way": Case(
        "TaxiOnTheWay with a warm cache, one random ride a call",
        _cards,
        (
            Goal(
                "server CPU a request, card / null handler",
                lambda by: by["card"].server_us / by["null handler"].server_us,
                6,
                at_least=False,
            ),
        ),
    ),
    "personal-state-compare": Case(
        "PersonalState of one rider, by both back ends and compared, against by the old one alone",
        _compared_states,
        (
            Goal(
                "CPU of all servers a request, compared / old alone",
                lambda by: by["both, compared"].server_us / by["old alone"].server_us,
                3.0,
                at_least=False,
            ),
        ),
    ),
    "get-personal-state": Case("GetPersonalState, one random user a call", _personal_states, _PEERS),
}
