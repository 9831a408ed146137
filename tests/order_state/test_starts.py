"""What an app that starts receives, and which providers are queried on the way."""

from __future__ import annotations

import grpc
import pytest

from ridehail.orderstate.v1 import order_state_api_pb2 as api
from ridehail.orderstate.v1 import order_state_pb2
from ridehail_kernel.json_values import to_struct
from tests.order_state.harness import GET_SERVICE, POLICY, RETRY_S, SERVERS, Harness, Rider, allowed, known, shown
from tests.order_state.provider_server import order
from tests.support.calls import call, failure_of

Upstream = order_state_pb2.Upstream


async def test_every_supported_service_is_queried(harness: Harness, rider: Rider) -> None:
    harness.providers["taxi"].orders[rider.uid] = [order("1", info="a")]
    harness.providers["eats"].failure = grpc.StatusCode.UNAVAILABLE
    response = await rider.start(known("2", "eats"), supported=["eats", "taxi", "laundry", "taxi"])
    assert shown(response) == [
        ("eats", "2", "old", {}, [], "stale"),
        ("taxi", "1", "driving", {"info": "a"}, ["info"], "actual"),
    ]
    assert (list(response.tags), list(allowed(response))) == (["eats"], ["taxi", "eats"])
    assert harness.queried() == {"taxi": 1, "eats": 1, "grocery": 0}


async def test_what_the_caller_queried_already_is_not_queried_again(harness: Harness, rider: Rider) -> None:
    upstreams = {
        "taxi": Upstream(ok=True, orders=[order("1", sequence=3, info="a", details={"car": "red"})]),
        "eats": Upstream(ok=False, orders=[order("ignored")]),
        "grocery": Upstream(ok=True, can_make_more_orders=False, no_more_orders_reason="closed"),
        "laundry": Upstream(ok=True, orders=[order("ignored")]),
    }
    response = await rider.start(known("2", "eats"), known("3", "grocery"), upstreams=upstreams)
    assert shown(response) == [
        ("eats", "2", "old", {}, [], "stale"),
        ("taxi", "1", "driving", {"info": "a"}, ["info"], "actual"),
    ]
    assert response.orders[1].details == to_struct({"car": "red"})
    assert allowed(response) == {"taxi": True, "eats": "too_many_orders", "grocery": "closed"}
    assert list(response.tags) == ["eats"]
    assert sum(harness.queried().values()) == 0
    # It counts as just queried, and what it listed is recorded.
    await rider.poll(tags=response.tags)
    assert sum(harness.queried().values()) == 0
    assert dict((await rider.poll(known("1"))).orders[0].tags) == {"info": "a"}
    harness.pass_time(RETRY_S)
    await rider.poll(tags=response.tags)
    assert harness.queried()["eats"] == 1


@pytest.mark.parametrize("bad", [[order("1"), order("1")], [order("")], [order("1", info="\0")]])
async def test_a_callers_list_that_breaks_the_contract_counts_as_none(
    harness: Harness, rider: Rider, bad: list[object]
) -> None:
    response = await rider.start(known("1"), upstreams={"taxi": Upstream(ok=True, orders=bad)}, supported=["taxi"])  # type: ignore[arg-type]
    assert shown(response) == [("taxi", "1", "old", {}, [], "stale")]
    assert list(response.tags) == ["taxi"]
    assert await harness.stored() == []


async def test_services_that_are_not_supported_are_omitted_and_their_orders_untouched(
    harness: Harness, rider: Rider
) -> None:
    await rider.report("1", 1, service="eats", full_info="a")
    response = await rider.start(known("1", "eats", tags={"x": "y"}, force=True), supported=["grocery"])
    assert shown(response) == [("eats", "1", "old", {"x": "y"}, [], "stale")]
    assert (list(response.tags), list(allowed(response)), list(response.polling_policy)) == ([], ["grocery"], [])
    assert harness.queried() == {"taxi": 0, "eats": 0, "grocery": 1}
    nothing = await rider.start(supported=[])
    assert nothing == api.GetOrdersStateResponse(polling_schedule=nothing.polling_schedule)


async def test_the_policy_of_the_supported_services_comes_by_priority(rider: Rider) -> None:
    response = await rider.start()
    by_priority = sorted(POLICY, key=lambda one: int(str(one["priority"])))
    assert list(response.polling_policy) == [order_state_pb2.PollingPolicy(**one) for one in by_priority]  # type: ignore[arg-type]
    assert [one.HasField("required") for one in response.polling_policy] == [True, True, False]
    assert [one.part_name for one in (await rider.start(supported=["eats"])).polling_policy] == ["full_info"]


# --- one service alone


async def query(rider: Rider, service: str) -> api.GetServiceOrdersStateResponse:
    request = api.GetServiceOrdersStateRequest(service=service, yandex_uid=rider.uid)
    response = await call(rider.harness.channel, GET_SERVICE, request, metadata=rider.harness.metadata("api-proxy"))
    return api.GetServiceOrdersStateResponse.FromString(response)


@pytest.mark.parametrize("service", SERVERS)
async def test_one_providers_response_is_passed_on(harness: Harness, rider: Rider, service: str) -> None:
    provider = harness.providers[service]
    orders = [order("2", "new", sequence=5, info="a", details={"x": 1}), order("1")]
    provider.orders[rider.uid], provider.can_make_more_orders, provider.no_more_orders_reason = orders, False, "debt"
    assert await query(rider, service) == api.GetServiceOrdersStateResponse(
        orders=orders, can_make_more_orders=False, no_more_orders_reason="debt"
    )
    provider.reset()
    assert await query(rider, service) == api.GetServiceOrdersStateResponse()


async def test_a_service_that_does_not_exist_is_not_found(harness: Harness, rider: Rider) -> None:
    request = api.GetServiceOrdersStateRequest(service="laundry", yandex_uid=rider.uid)
    error = await failure_of(harness.channel, GET_SERVICE, request, metadata=harness.metadata("admin"))
    assert (error.code, error.reason, error.metadata) == (
        grpc.StatusCode.NOT_FOUND,
        "SERVICE_NOT_FOUND",
        {"service": "laundry"},
    )


@pytest.mark.parametrize("service", SERVERS)
async def test_a_provider_that_does_not_respond_is_unavailable(harness: Harness, rider: Rider, service: str) -> None:
    harness.providers[service].failure = grpc.StatusCode.INTERNAL
    request = api.GetServiceOrdersStateRequest(service=service, yandex_uid=rider.uid)
    error = await failure_of(harness.channel, GET_SERVICE, request, metadata=harness.metadata("admin"))
    assert (error.code, error.reason, error.metadata) == (
        grpc.StatusCode.UNAVAILABLE,
        "NEIGHBOUR_UNAVAILABLE",
        {"neighbour": SERVERS[service]},
    )
    assert error.retry_after is not None


# --- what is stored counts, whatever the app names


async def test_a_reported_order_counts_towards_the_limit_though_the_app_does_not_name_it(
    harness: Harness, rider: Rider
) -> None:
    await rider.report("1", 1, service="eats", full_info="a")
    polled = await rider.poll()
    assert (shown(polled), allowed(polled)["eats"], list(polled.tags)) == ([], "too_many_orders", ["eats"])
    assert sum(harness.queried().values()) == 0


async def test_while_a_provider_is_down_its_reported_orders_are_listed_stale_and_count(
    harness: Harness, rider: Rider
) -> None:
    await rider.report("1", 1, service="eats", full_info="a")
    harness.providers["eats"].failure = grpc.StatusCode.UNAVAILABLE
    started = await rider.start(supported=["eats"])
    assert shown(started) == [("eats", "1", "", {"full_info": "a"}, ["full_info"], "stale")]
    assert not started.orders[0].HasField("details")
    assert (allowed(started), list(started.tags)) == ({"eats": "too_many_orders"}, ["eats"])
    polled = await rider.poll(tags={"eats": "ask now"})
    assert shown(polled) == shown(started)
    assert allowed(polled)["eats"] == "too_many_orders"


async def test_an_order_whose_end_was_reported_does_not_count_though_the_app_names_it(
    harness: Harness, rider: Rider
) -> None:
    await rider.report("1", 1, service="eats", finished=True)
    harness.providers["eats"].failure = grpc.StatusCode.UNAVAILABLE
    for response in (await rider.poll(known("1", "eats")), await rider.start(known("1", "eats"), supported=["eats"])):
        assert allowed(response)["eats"] is True


async def test_another_riders_reported_order_neither_counts_nor_is_listed(harness: Harness, rider: Rider) -> None:
    await harness.rider("another").report("1", 1, service="eats", full_info="a")
    harness.providers["eats"].failure = grpc.StatusCode.UNAVAILABLE
    started = await rider.start(supported=["eats"])
    assert (shown(started), allowed(started)) == ([], {"eats": True})
