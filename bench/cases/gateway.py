"""What the gateway and JSON add to a call."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from bench.case import Case
from bench.comparison import Contender, Goal, Round
from bench.gateway import gateway
from bench.harness import Harness
from bench.load import Load, write_bodies
from bench.servers import Running
from bench.tables import random_id
from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail_kernel.metadata_keys import AUTHORIZATION_KEY, TICKET_KEY
from ridehail_servers.chassis.clock import system_clock
from ridehail_servers.chassis.keys import KeyRing
from ridehail_servers.chassis.passenger import Identity
from ridehail_servers.chassis.tickets import TicketIssuer
from ridehail_servers.passenger_authorizer.session_tokens import issue_session_token

_SERVICE = "eulas"
_METHOD = "/ridehail.eulas.v1.PassengerEulasService/ListEulas"
_PATH = "/4.0/eulas/v1/list"
_FILTER, _ZONE = "unknown", "tel_aviv"
# Each of them makes a request every second or two, and has made one before: sessions last for hours.
_PASSENGERS = 1_000
_DIRECT, _JSON, _ALWAYS_ASKED = "gRPC, direct", "JSON", "JSON, none remembered"


class _Passengers:
    """The passengers of the case, and what each shows: a ticket of the gateway's, or a session."""

    def __init__(self, harness: Harness) -> None:
        chance = random.Random(1)
        number = min(_PASSENGERS, harness.messages)
        self._uids = [random_id(chance.randint(1, harness.orders)) for _ in range(number)]
        self._folder = harness.servers.folder

    def tickets(self) -> Path:
        issue = TicketIssuer(KeyRing(self._folder / "keys" / "tickets"), "gateway").issue
        tickets = (issue(_SERVICE, passenger=Identity(uid)) for uid in self._uids)
        return self._values("tickets", tickets)

    def sessions(self) -> Path:
        keys, now = KeyRing(self._folder / "keys" / "sessions"), system_clock()
        tokens = (issue_session_token(keys, yandex_uid=uid, ttl=timedelta(hours=1), now=now) for uid in self._uids)
        return self._values("sessions", (f"Bearer {token}" for token in tokens))

    def requests(self, name: str, request: bytes) -> Path:
        return write_bodies(self._folder / f"{name}.bodies", (request for _ in self._uids))

    def _values(self, name: str, values: Iterator[str]) -> Path:
        return write_bodies(self._folder / f"{name}.values", (value.encode() for value in values))


@contextmanager
def _eulas(harness: Harness) -> Iterator[Sequence[Contender]]:
    servers, url = harness.servers, harness.tables.agreements(harness.orders)
    passengers = _Passengers(harness)
    request = api.PassengerEulasServiceListEulasRequest(filter=_FILTER, zone_name=_ZONE)
    grpc_requests = passengers.requests("passengers-grpc", request.SerializeToString())
    json_requests = passengers.requests("passengers-json", json.dumps({"filter": _FILTER, "zone_name": _ZONE}).encode())
    tickets, sessions = (TICKET_KEY, passengers.tickets()), (AUTHORIZATION_KEY, passengers.sessions())
    with (
        servers.ridehail(_SERVICE, database_url=url) as eulas,
        servers.ridehail("passenger-authorizer", database_url=url) as authorizer,
        gateway(servers, "gateway", services=eulas, authorizer=authorizer, remembered_sessions=10_000) as remembering,
        gateway(servers, "forgetful-gateway", services=eulas, authorizer=authorizer, remembered_sessions=0) as asking,
    ):

        def through(name: str, envoy: Running) -> Contender:
            load = Load("http", envoy.address, _PATH, json_requests, {}, harness.callers, sessions)
            return Contender(name, eulas, load, dependencies=(envoy, authorizer), warm=True)

        yield (
            Contender(
                _DIRECT,
                eulas,
                Load("grpc", eulas.address, _METHOD, grpc_requests, {}, harness.callers, tickets),
                warm=True,
            ),
            through(_JSON, remembering),
            through(_ALWAYS_ASKED, asking),
        )


def _cpu(by: Round, name: str) -> float:
    return by[name].server_us + by[name].dependencies_us


CASES = {
    "json-eulas": Case(
        f"ListEulas(unknown) of {_PASSENGERS:,} passengers as JSON through the gateway",
        _eulas,
        (
            Goal(
                "CPU of all servers a request, JSON / direct gRPC",
                lambda by: _cpu(by, _JSON) / _cpu(by, _DIRECT),
                1.6,
                at_least=False,
            ),
            Goal(
                "CPU of gateway and authorizer, sessions remembered / none",
                lambda by: by[_JSON].dependencies_us / by[_ALWAYS_ASKED].dependencies_us,
                0.5,
                at_least=False,
            ),
        ),
    ),
}
