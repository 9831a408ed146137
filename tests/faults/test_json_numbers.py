"""A number in JSON arrives as it was sent or is refused with its path, in every field of every request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api_proxy
from ridehail.userstate.v1 import user_state_api_pb2 as user_state
from ridehail_clients import InvalidRequest
from ridehail_kernel.field_violation import FieldViolation
from ridehail_kernel.json_values import MAX_SAFE_INTEGER, from_struct, from_value, to_struct, to_value
from ridehail_servers.chassis.request_limits import RequestLimits, check_values
from tests.support.calls import failure_of, rpcs
from tests.support.largest_requests import holds_json, request_with_json
from tests.support.suite_in_process import SuiteInProcess, suite_in_process

WITH_JSON = [rpc for rpc in rpcs() if not rpc.by_gateway_key and holds_json(rpc.method.input_type)]
WHOLE = st.integers(-(2**70), 2**70) | st.integers(2**53 - 3, 2**53 + 3) | st.integers(-(2**53) - 3, 3 - 2**53)


def unfit(request: Any) -> list[FieldViolation]:
    """Returns what a server finds in the JSON of a request."""
    steps = check_values(request, RequestLimits())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: list[FieldViolation] = end.value
            return found


def on_the_wire(value: Any) -> Value:
    """Returns a value as the gateway makes it of JSON: every number is the nearest double."""
    if isinstance(value, dict):
        return Value(struct_value=Struct(fields={name: on_the_wire(part) for name, part in value.items()}))
    return Value(number_value=float(value)) if isinstance(value, int) else to_value(value)


@pytest.mark.parametrize("number", [2.0**53, -(2.0**53), 12345678901234567890.0, 1e300, float("nan"), float("-inf")])
def test_every_json_of_every_request_is_judged(number: float) -> None:
    for rpc in WITH_JSON:
        fine = request_with_json(rpc.method, on_the_wire({"a": MAX_SAFE_INTEGER}).struct_value)
        assert unfit(fine) == [], rpc.name
        bad = request_with_json(rpc.method, Struct(fields={"a": Value(number_value=number)}))
        found = unfit(bad)
        assert {one.reason for one in found} == {"json.number"}, rpc.name
        assert all('["a"]' in one.field for one in found), rpc.name


@given(WHOLE, WHOLE)
def test_two_whole_numbers_are_never_taken_for_each_other(old: int, new: int) -> None:
    request = user_state.CompareJsonsRequest(old=on_the_wire({"total": old}), new=on_the_wire({"total": new}))
    paths = {one.field for one in unfit(request)}
    assert paths == {f'{side}["total"]' for side, it in (("old", old), ("new", new)) if abs(it) > MAX_SAFE_INTEGER}
    if not paths:
        assert (from_value(request.old), from_value(request.new)) == ({"total": old}, {"total": new})


@given(
    st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4), WHOLE, max_size=9
    )
)
def test_what_a_launch_takes_comes_back_as_it_was_sent(card: dict[str, int]) -> None:
    request = api_proxy.LaunchRequest(known_orders=[on_the_wire({"card": card}).struct_value])
    changed = {name for name, number in card.items() if abs(number) > MAX_SAFE_INTEGER}
    assert {one.field for one in unfit(request)} == {f'known_orders[0]["card"]["{name}"]' for name in changed}
    if not changed:
        assert from_struct(request.known_orders[0]) == {"card": card}


@pytest.fixture
async def running(database_url: str, keys_dir: Path, config_dir: Path) -> AsyncIterator[SuiteInProcess]:
    async with suite_in_process(
        database_url=database_url, keys_dir=keys_dir, config_dir=config_dir, services=("user-state", "api-proxy")
    ) as suite:
        yield suite


async def test_a_number_that_a_double_does_not_hold_is_refused_with_its_path(running: SuiteInProcess) -> None:
    compared = user_state.CompareJsonsRequest(
        request_id="1",
        kind="read",
        old=on_the_wire({"a": [1], "b": 9007199254740993}),
        new=on_the_wire({"a": [1], "b": 9007199254740992}),
        old_status=200,
        new_status=200,
    )
    order = to_struct({"orderid": "1", "service": "taxi"})
    order.fields["card"].CopyFrom(on_the_wire({"id": 12345678901234567890}))
    async with running.channel() as channel:
        for path, request, source, service, fields in (
            (
                "/ridehail.userstate.v1.UserStateService/CompareJsons",
                compared,
                "api-proxy",
                "user-state",
                ['old["b"]', 'new["b"]'],
            ),
            (
                "/ridehail.apiproxy.v1.LaunchService/Launch",
                api_proxy.LaunchRequest(known_orders=[order]),
                "gateway",
                "api-proxy",
                ['known_orders[0]["card"]["id"]'],
            ),
        ):
            uid = "400" if source == "gateway" else None
            metadata = (*running.metadata(source, service, uid), ("x-yandex-uid", "400"))
            error = await failure_of(channel, path, request, metadata=metadata)
            assert isinstance(error, InvalidRequest)
            assert [(one.field, one.reason) for one in error.violations] == [(name, "json.number") for name in fields]
