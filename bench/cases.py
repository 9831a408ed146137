"""The cases. A new one is a function that starts its servers and yields who competes, and an entry in `CASES`."""

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
from .tables import RIDER, random_id
from .world import World

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
# Few enough that the warm-up asks for the banners of each.
_RIDES = 1_000


@dataclass(frozen=True)
class Case:
    """Something to measure.

    Attributes:
        title: What is done.
        contenders: Starts the servers for the length of the block.
        goals: What it is about.
    """

    title: str
    contenders: Callable[[World], AbstractContextManager[Sequence[Contender]]]
    goals: Sequence[Goal]


def _one_order(some_order: Callable[[], str]) -> bytes:
    return toll_roads.RetrieveOrderRequest(order_id=some_order()).SerializeToString()


def _many_orders(some_order: Callable[[], str]) -> bytes:
    return toll_roads.BatchRetrieveOrdersRequest(order_ids=[some_order() for _ in range(_BATCH)]).SerializeToString()


def _one_order_as_json(some_order: Callable[[], str]) -> bytes:
    return json.dumps({"order_id": some_order()}).encode()


@contextmanager
def _retrieve_order(world: World) -> Iterator[Sequence[Contender]]:
    url = world.tables.database(world.orders)
    with (
        world.servers.ridehail("toll-roads", database_url=url) as ours,
        world.servers.fastapi("fastapi_toll_roads", database_url=url) as fastapi,
        world.servers.null("bare") as bare,
        world.servers.null("chassis") as chassis,
    ):
        yield (
            world.contender("ridehail", ours, _RETRIEVE, _one_order),
            world.contender("fastapi", fastapi, "/toll-roads/v1/order/retrieve", _one_order_as_json),
            world.contender("null handler", bare, _RETRIEVE, _one_order),
            world.contender("null + chassis", chassis, _RETRIEVE, _one_order),
        )


@contextmanager
def _batches(world: World) -> Iterator[Sequence[Contender]]:
    with world.servers.ridehail("toll-roads", database_url=world.tables.database(world.orders)) as ours:
        yield (
            world.contender("single calls", ours, _RETRIEVE, _one_order),
            world.contender("batches", ours, _BATCH_RETRIEVE, _many_orders, orders_per_request=_BATCH, messages=2_000),
        )


@contextmanager
def _table_sizes(world: World) -> Iterator[Sequence[Contender]]:
    small, large = world.sizes
    with (
        world.servers.ridehail("toll-roads", database_url=world.tables.database(small)) as few,
        world.servers.ridehail("toll-roads", database_url=world.tables.database(large)) as many,
    ):
        yield (
            world.contender(f"{small:,} orders", few, _RETRIEVE, _one_order, orders=small),
            world.contender(f"{large:,} orders", many, _RETRIEVE, _one_order, orders=large),
        )


def _agreements(
    path: str,
    request: Callable[[str], eulas.CheckEulasRequest | eulas.ListEulasRequest],
    http_path: str,
    **fields: object,
) -> Callable[[World], AbstractContextManager[Sequence[Contender]]]:
    """Returns what starts the servers of a case about eulas.

    Args:
        path: Of the gRPC method.
        request: Makes a request for a user.
        http_path: Of the same in the FastAPI server ...
        fields: ... and what it is sent beside the user.
    """

    @contextmanager
    def contenders(world: World) -> Iterator[Sequence[Contender]]:
        url = world.tables.agreements(world.orders)

        def message(some_user: Callable[[], str]) -> bytes:
            return request(some_user()).SerializeToString()

        def json_message(some_user: Callable[[], str]) -> bytes:
            return json.dumps({"yandex_uid": some_user(), **fields}).encode()

        with (
            world.servers.ridehail("eulas", database_url=url) as ours,
            world.servers.fastapi("fastapi_eulas", database_url=url) as fastapi,
            world.servers.null("bare") as bare,
        ):
            yield (
                world.contender("ridehail", ours, path, message, service="eulas"),
                world.contender("fastapi", fastapi, http_path, json_message),
                world.contender("null handler", bare, _RETRIEVE, _one_order),
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
def _polls(world: World) -> Iterator[Sequence[Contender]]:
    riders = min(world.orders, _RIDERS)
    url = world.tables.orders_state(riders)
    with (
        world.servers.ridehail("order-state", database_url=url) as ours,
        world.servers.fastapi("fastapi_order_state", database_url=url) as fastapi,
        world.servers.null("bare") as bare,
    ):
        yield (
            world.passengers_contender("ridehail", ours, _POLL, _poll, service="order-state", riders=riders),
            world.passengers_contender(
                "fastapi",
                fastapi,
                "/mlutp/v1/orders/state",
                lambda uid: json.dumps({"known_orders": _known_orders(uid)}).encode(),
                service=None,
                riders=riders,
            ),
            world.contender("null handler", bare, _RETRIEVE, _one_order),
        )


def _one_card(some_order: Callable[[], str]) -> bytes:
    return api_proxy.TaxiOnTheWayRequest(order_id=some_order()).SerializeToString()


@contextmanager
def _cards(world: World) -> Iterator[Sequence[Contender]]:
    rides = min(world.orders, _RIDES)
    url = world.tables.rides(rides)
    others = ("order-core", "toll-roads", "family", "route-sharing", "inapp-communications")
    with (
        world.servers.ridehail(*others, database_url=url) as neighbours,
        world.servers.ridehail("api-proxy", database_url=url, neighbours=neighbours) as ours,
        world.servers.null("bare") as bare,
    ):
        yield (
            world.contender("card", ours, _CARD, _one_card, service="api-proxy", rider=RIDER, orders=rides),
            world.contender("null handler", bare, _RETRIEVE, _one_order),
        )


def _one_state(some_user: Callable[[], str]) -> bytes:
    return user_state.GetPersonalStateRequest(yandex_uid=some_user()).SerializeToString()


def _one_state_as_json(some_user: Callable[[], str]) -> bytes:
    return json.dumps({"yandex_uid": some_user()}).encode()


@contextmanager
def _personal_states(world: World) -> Iterator[Sequence[Contender]]:
    url = world.tables.personal_states(world.orders)
    with (
        world.servers.ridehail("user-state", database_url=url) as ours,
        world.servers.fastapi("fastapi_user_state", database_url=url) as fastapi,
        world.servers.null("bare") as bare,
    ):
        yield (
            world.contender("ridehail", ours, _GET_STATE, _one_state, service="user-state"),
            world.contender("fastapi", fastapi, "/v1/personalstate/get", _one_state_as_json),
            world.contender("null handler", bare, _RETRIEVE, _one_order),
        )


def _one_read(_some_user: Callable[[], str]) -> bytes:
    return api_proxy.PersonalStateRequest().SerializeToString()


@contextmanager
def _compared_states(world: World) -> Iterator[Sequence[Contender]]:
    url = world.tables.both_back_ends(world.orders)
    services = ("api-proxy", "protocol", "user-state")
    everybody = world.servers.with_experiments("userstate-personalstate-enabled")
    rider = random_id(1)
    with (
        world.servers.ridehail(*services, database_url=url, config=everybody) as both,
        world.servers.ridehail(*services, database_url=url) as old,
    ):
        yield (
            world.contender("both, compared", both, _PERSONAL_STATE, _one_read, service="api-proxy", rider=rider),
            world.contender("old alone", old, _PERSONAL_STATE, _one_read, service="api-proxy", rider=rider),
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
