"""Calls of `check_eulas` that share batches: each caller gets the result of a call by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ridehail.eulas.v1 import eulas_api_pb2 as api
from ridehail.eulas.v1 import eulas_pb2
from ridehail_clients import EulaState, EulaStatus, InvalidRequest
from ridehail_servers.chassis.tickets import TicketIssuer
from tests.clients.flavours import ASYNCIO, BLOCKING, Flavour
from tests.clients.scripted_server import ScriptedServer
from tests.eulas.harness import Harness
from tests.support.log_capture import LogCapture, captured_logs
from tests.support.waiting import until

CLIENT = "EulasClient"
both = pytest.mark.parametrize("flavour", [ASYNCIO, BLOCKING], ids=lambda flavour: flavour.name)

CHECKS: list[dict[str, Any]] = [
    {"yandex_uid": uid, **asked}
    for uid in ("a", "b", "nobody")
    for asked in (
        {"eula_types": ["surge", "sdc"], "zone_name": "haifa"},
        {"eula_types": ["surge", "sdc"]},
        {"eula_types": ["sdc", "surge"]},
        {"eula_ids": ["sdc", "nothing", "sdc"]},
        {"eula_ids": ["surge_il"], "zone_name": "oslo"},
        {"eula_ids": [f"x{number}" for number in range(30)]},
    )
]


async def checked(harness: Harness, flavour: Flavour, checks: list[dict[str, Any]], **options: Any) -> list[Any]:
    """Makes all checks concurrently; returns results and errors."""
    ticket = TicketIssuer(harness.suite.keys, "api-proxy", clock=lambda: harness.clock[0])
    async with flavour.opened(
        harness.suite.address, CLIENT, **{"ticket": ticket, "attempt_timeout": 60.0, **options}
    ) as opened:
        calls = [opened.call("check_eulas", timeout=60, **check) for check in checks]
        return await asyncio.gather(*calls, return_exceptions=True)


def called_in(logs: LogCapture) -> list[str]:
    """Returns the methods of the calls that a server has logged."""
    return [str(line["method"]).rpartition("/")[2] for line in logs.events("call")]


@both
async def test_each_caller_gets_what_a_call_by_itself_returns(harness: Harness, flavour: Flavour) -> None:
    await harness.user("a").save(("surge_il", "accepted"), ("sdc", "rejected"))
    await harness.user("b").save(("surge_haifa", "rejected"), ("sdc", "accepted"))
    alone = await checked(harness, flavour, CHECKS)
    with captured_logs() as logs:
        shared = await checked(harness, flavour, CHECKS * 20, coalesce=True)
        # The checks of thirty agreements each are too large to share.
        await until(lambda: called_in(logs).count("CheckEulas") == 3 * 20)
        called = called_in(logs)
    assert shared == alone * 20
    assert alone[0] == (
        EulaStatus("surge_il", "surge", EulaState.ACCEPTED),
        EulaStatus("", "sdc", EulaState.UNKNOWN),
    )
    assert set(called) == {"CheckEulas", "BatchCheckEulas"}
    assert called.count("BatchCheckEulas") < 5 * 3 * 20 / 2


@both
async def test_an_invalid_check_fails_only_its_caller(harness: Harness, flavour: Flavour) -> None:
    good: dict[str, Any] = {"yandex_uid": "a", "eula_types": ["surge"]}
    bad: list[dict[str, Any]] = [
        {"yandex_uid": "a\n", "eula_types": ["surge"]},
        {"yandex_uid": "a", "eula_ids": [""]},
        {"yandex_uid": "a"},
    ]
    results = await checked(harness, flavour, [good, *bad, good], coalesce=True)
    assert results[0] == results[4] == (EulaStatus("", "surge", EulaState.UNKNOWN),)
    assert [type(one) for one in results[1:4]] == [InvalidRequest] * 3
    fields = [[violation.field for violation in one.violations] for one in results[1:4]]
    assert fields == [["yandex_uid"], ["eula_ids[0]"], ["eula_ids"]]
    [one_text] = await checked(harness, flavour, [{"yandex_uid": "a", "eula_ids": "surge"}], coalesce=True)
    assert isinstance(one_text, TypeError)


@both
async def test_a_check_that_the_response_to_its_batch_lacks_is_made_alone(flavour: Flavour) -> None:
    status = eulas_pb2.EulaStatus(eula_id="surge_il", type="surge", status="accepted")

    def behave(request: Any, _context: Any) -> Any:
        if isinstance(request, api.BatchCheckEulasRequest):
            return api.BatchCheckEulasResponse()
        return api.CheckEulasResponse(eulas=[status])

    server = ScriptedServer(behaviour=behave)
    check: dict[str, Any] = {"yandex_uid": "a", "eula_types": ["surge"], "timeout": 60}
    found = await flavour.call(flavour.in_memory(server), CLIENT, "check_eulas", check, coalesce=True)
    assert found == (EulaStatus("surge_il", "surge", EulaState.ACCEPTED),)
    assert [one.rpc for one in server.received] == ["BatchCheckEulas", "CheckEulas"]
