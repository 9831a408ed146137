"""Reads of riders' personal states."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.case import RETRIEVE, Case, against_fastapi, against_null, one_order
from bench.comparison import Contender, Goal
from bench.harness import Harness
from bench.tables import random_id
from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.userstate.v1 import user_state_api_pb2 as user_state

_GET_STATE = "/ridehail.userstate.v1.UserStateService/GetPersonalState"
_PERSONAL_STATE = "/ridehail.apiproxy.v1.PersonalStateService/PersonalState"


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
            harness.contender("null handler", bare, RETRIEVE, one_order),
        )


def _one_state(some_user: Callable[[], str]) -> bytes:
    return user_state.GetPersonalStateRequest(yandex_uid=some_user()).SerializeToString()


def _one_state_as_json(some_user: Callable[[], str]) -> bytes:
    return json.dumps({"yandex_uid": some_user()}).encode()


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


def _one_read(_some_user: Callable[[], str]) -> bytes:
    return api_proxy.PersonalStateRequest().SerializeToString()


CASES = {
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
    "get-personal-state": Case(
        "GetPersonalState, one random user a call", _personal_states, (against_fastapi(1.8), against_null(0.9))
    ),
}
