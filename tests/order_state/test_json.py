"""The JSON paths, through a real gateway: what apps and services send and get, and what is refused."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml

from ridehail_servers import resources
from tests.order_state.harness import Harness
from tests.order_state.harness import harness as running_harness
from tests.order_state.provider_server import order
from tests.support.config_edits import edit
from tests.support.harness import Harness as Gateway
from tests.support.harness import behind_a_gateway
from tests.support.waiting import LIMIT_S, until

GOLDEN = Path(__file__).parent / "golden"
UID = "400"
SHIPPED = yaml.safe_load((resources.folder("config") / "order_state.yaml").read_text())
POLLS = ["/mlutp/v1/orders/state", "/4.0/mlutp/v1/orders/state"]
START, OF_EATS = "/v1/orders/state", "/v1/eats/orders/state"


@dataclass
class Front:
    """order_state behind a gateway."""

    harness: Harness
    gateway: Gateway

    async def post(self, path: str, body: object) -> tuple[int, Any]:
        """Returns status and JSON of a response; the path says which listener is called."""
        if path in POLLS:
            port, headers = self.gateway.gateway.public_port, self.gateway.session(uid=UID, now=self.harness.clock[0])
        else:
            port, headers = self.gateway.gateway.internal_port, dict(self.harness.metadata("api-proxy"))
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, headers, method="POST")

        def send() -> tuple[int, Any]:
            try:
                with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
                    return response.status, json.loads(response.read())
            except urllib.error.HTTPError as error:
                return error.code, json.loads(error.read())

        return await asyncio.to_thread(send)


@pytest.fixture(scope="module")
async def module_front(
    module_database_url: str, keys_dir: Path, module_config_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Front]:
    """order_state with the shipped configuration, behind a gateway."""
    async with (
        running_harness(
            database_url=module_database_url,
            keys_dir=keys_dir,
            config_dir=module_config_dir,
            config={**SHIPPED, "provider_timeout_ms": 1_000},
            others=["passenger-authorizer"],
        ) as harness,
        behind_a_gateway(harness.suite, tmp_path_factory.mktemp("gateway")) as gateway,
    ):
        yield Front(harness, gateway)


@pytest.fixture
async def front(module_front: Front) -> Front:
    """The module's, as if nothing had happened in it."""
    await module_front.harness.reset()
    return module_front


@asynccontextmanager
async def without_policy(front: Front) -> AsyncIterator[None]:
    """Has no polling policy in force for the length of the block."""
    await put_in_force(front, [])
    try:
        yield
    finally:
        await put_in_force(front, SHIPPED["polling_policy"])


async def put_in_force(front: Front, policy: list[object]) -> None:
    edit(front.harness.suite.settings.config_dir / "order_state.yaml", {"polling_policy": policy})

    async def is_in_force() -> bool:
        started = await front.harness.rider("nobody").start(supported=["taxi"])
        return bool(started.polling_policy) == bool(policy)

    await until(is_in_force)
    front.harness.providers["taxi"].reset()


def golden(name: str) -> Any:
    return json.loads((GOLDEN / name).read_text())


def with_golden_tokens(response: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a response whose poll tokens are as in the golden files, without the schedule, which they have not."""
    assert all(len(tag) > 20 for tag in response["tags"].values())
    schedule = response["polling_schedule"]
    assert 5_000 <= schedule["next_poll_ms"] < 15_000
    assert (schedule["interval_ms"], schedule["longest_pause_ms"]) == (10_000, 300_000)
    described = {name: value for name, value in response.items() if name != "polling_schedule"}
    return {**described, "tags": dict.fromkeys(response["tags"], "encoded_tags")}


async def test_the_poll_of_the_product_description_returns_the_documented_literals(front: Front) -> None:
    """Taxi responds, eats and grocery do not; both orders were reported."""
    # The names of parts in the example are not those of the policy.
    async with without_policy(front):
        await assert_the_poll_returns_the_documented_literals(front)


async def assert_the_poll_returns_the_documented_literals(front: Front) -> None:
    for service in ("eats", "grocery"):
        front.harness.providers[service].failure = grpc.StatusCode.UNAVAILABLE
    front.harness.providers["taxi"].orders[UID] = [order("order1", sequence=1, taxiontheway="1590674416")]
    rider = front.harness.rider(UID)
    await rider.report("order1", 1, taxiontheway="1590674416")
    await rider.report("order1", 1, service="eats", eats_tracking="1590674416")
    for path in POLLS:
        status, response = await front.post(path, (GOLDEN / "poll_request.json").read_bytes())
        assert (status, with_golden_tokens(response)) == (200, golden("poll_response.json"))
    assert front.harness.queried() == {"taxi": 2, "eats": 2, "grocery": 2}
    # The returned tokens are good for the next poll.
    request = golden("poll_request.json") | {"tags": response["tags"]}
    assert (await front.post(POLLS[0], request))[1]["tags"] == response["tags"]
    assert front.harness.queried() == {"taxi": 2, "eats": 2, "grocery": 2}


async def test_the_start_of_the_product_description_returns_the_documented_literals(front: Front) -> None:
    for service in ("eats", "grocery"):
        front.harness.providers[service].failure = grpc.StatusCode.UNAVAILABLE
    listed = order("order1", sequence=1, fast_info="encoded_tag", part2="encoded_tag")
    front.harness.providers["taxi"].orders[UID] = [listed]
    status, response = await front.post(START, (GOLDEN / "start_request.json").read_bytes())
    assert (status, with_golden_tokens(response)) == (200, golden("start_response.json"))


async def test_one_services_orders_as_json(front: Front) -> None:
    listed = order("order1", "cooking", sequence=2**40, details={"some_field": "some_value"}, full_info="1")
    front.harness.providers["eats"].orders[UID] = [listed]
    assert await front.post(OF_EATS, {"yandex_uid": UID}) == (
        200,
        {
            "orders": [
                {
                    "orderid": "order1",
                    "status": "cooking",
                    "parts": {"full_info": "1"},
                    "details": {"some_field": "some_value"},
                    "sequence": str(2**40),
                }
            ]
        },
    )
    status, error = await front.post("/v1/laundry/orders/state", {"yandex_uid": UID})
    assert (status, error["details"][0]["reason"]) == (404, "SERVICE_NOT_FOUND")
    front.harness.providers["eats"].failure = grpc.StatusCode.UNAVAILABLE
    status, error = await front.post(OF_EATS, {"yandex_uid": UID})
    assert (status, error["details"][0]["metadata"]) == (503, {"neighbour": "eats-orders"})


MISTYPED: list[object] = ["x", 7, [7], *([{bad: 7}] for bad in ("orderid", "tags", "details")), [{"force": "perhaps"}]]
GOOD = {"orderid": "1", "service": "taxi"}
ID = "string.id"


def bad_known_orders() -> list[tuple[object, str, str]]:
    """Returns known orders that are refused, the field and the rule."""
    return [
        ([GOOD, GOOD], "known_orders", "order_state.unique"),
        ([{**GOOD, "orderid": str(number)} for number in range(51)], "known_orders", "repeated.max_items"),
        ([GOOD, {"service": "taxi"}], "known_orders[1].orderid", ID),
        ([{"orderid": "1"}], "known_orders[0].service", ID),
        ([{**GOOD, "orderid": "x" * 129}], "known_orders[0].orderid", ID),
        ([{**GOOD, "orderid": "a\u0000b"}], "known_orders[0].orderid", ID),
        ([{**GOOD, "status": "x" * 129}], "known_orders[0].status", "string.max_len"),
        ([{**GOOD, "tags": {str(number): "1" for number in range(21)}}], "known_orders[0].tags", "map.max_pairs"),
        ([{**GOOD, "tags": {"part": "x" * 257}}], 'known_orders[0].tags["part"]', "string.max_len"),
    ]


def bad_bodies() -> list[tuple[str, object, tuple[str, str] | None]]:
    """Returns path, body, and the field and the rule that it breaks; None: it is no such message at all."""
    cases: list[tuple[str, object, tuple[str, str] | None]] = []
    for path, base in ((POLLS[0], {}), (POLLS[1], {}), (START, {"yandex_uid": UID})):
        cases += [(path, {**base, "known_orders": known}, (field, rule)) for known, field, rule in bad_known_orders()]
        cases += [(path, {**base, "known_orders": mistyped}, None) for mistyped in MISTYPED]
        cases += [(path, b"{", None), (path, b"[]", None), (path, b'{"known_orders": [{"orderid": "\xff"}]}', None)]
    for path in POLLS:
        cases += [
            (path, {"tags": {"taxi": "x" * 513}}, ('tags["taxi"]', "string.max_len")),
            (path, {"tags": {str(number): "" for number in range(21)}}, ("tags", "map.max_pairs")),
            (path, {"tags": ["taxi"]}, None),
        ]
    cases += [
        (START, {}, ("yandex_uid", ID)),
        (START, {"yandex_uid": UID, "supported_services": ["x"] * 21}, ("supported_services", "repeated.max_items")),
        (START, {"yandex_uid": UID, "supported_services": ["a\tb"]}, ("supported_services[0]", ID)),
        (START, {"yandex_uid": UID, "upstreams": {"": {"ok": True}}}, ('upstreams[""]', ID)),
        (START, {"yandex_uid": UID, "upstreams": {"taxi": {"ok": "perhaps"}}}, None),
        (OF_EATS, {}, ("yandex_uid", ID)),
        (OF_EATS, {"yandex_uid": "a\nb"}, ("yandex_uid", ID)),
        (f"/v1/{'x' * 129}/orders/state", {"yandex_uid": UID}, ("service", ID)),
        ("/v1/a%00b/orders/state", {"yandex_uid": UID}, ("service", ID)),
    ]
    return cases


async def test_bad_bodies_are_refused_by_name_and_nothing_is_stored(front: Front) -> None:
    for path, body, violation in bad_bodies():
        status, error = await front.post(path, body)
        shown_error = f"{path} {str(body)[:100]} -> {status} {error}"
        if "%00" in path:
            # The gateway itself refuses what is no path.
            assert status in {400, 404}, shown_error
            continue
        assert (status, error.get("code")) == (400, 3), shown_error
        if violation is None:
            assert error["details"] == [], shown_error
            continue
        info, bad_request = error["details"]
        assert info["reason"] == "INVALID_REQUEST", shown_error
        assert [(one["field"], one["reason"]) for one in bad_request["field_violations"]] == [violation], shown_error
    assert sum(front.harness.queried().values()) == 0
    assert await front.harness.stored() == []


async def test_fields_that_the_contract_does_not_have_are_ignored(front: Front) -> None:
    status, response = await front.post(POLLS[0], {"some_field": "some_value"})
    assert (status, response["orders"]) == (200, [])
