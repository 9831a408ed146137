"""What an app that polls receives."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import jwt
import psycopg
import pytest
from psycopg import conninfo

from ridehail_clients import DatabaseUnavailable, InvalidRequest
from ridehail_kernel.json_values import from_struct, to_struct
from tests.order_state.harness import RETRY_S, TTL_S, Harness, Rider, allowed, known, shown
from tests.order_state.provider_server import order
from tests.support.log_capture import LogCapture
from tests.support.waiting import until

NOBODY = {"taxi": 0, "eats": 0, "grocery": 0}
FAILURES = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.UNIMPLEMENTED,
]

NUL_IN_A_NAME: dict[str, Any] = {"p\0": "v"}

# --- without poll tokens


async def test_a_rider_without_orders_may_order_anything(harness: Harness, rider: Rider) -> None:
    response = await rider.poll()
    assert (shown(response), dict(response.tags)) == ([], {})
    assert allowed(response) == {"taxi": True, "eats": True, "grocery": True}
    assert list(allowed(response)) == ["taxi", "eats", "grocery"]
    assert harness.queried() == NOBODY


async def test_a_reported_order_is_actual_as_the_app_sends_it_and_nobody_is_queried(
    harness: Harness, rider: Rider
) -> None:
    await rider.report("1", 1, info="a", route="b", extra="c")
    app = known("1", status="driving", tags={"info": "a", "extra": "old"}, details=to_struct({"x": [1, None]}))
    response = await rider.poll(app)
    tags = {"info": "a", "route": "b", "extra": "c"}
    assert shown(response) == [("taxi", "1", "driving", tags, ["route", "extra"], "actual")]
    assert from_struct(response.orders[0].details) == {"x": [1, None]}
    assert dict(response.tags) == {}
    assert harness.queried() == NOBODY


async def test_what_the_app_has_is_not_requested(rider: Rider) -> None:
    await rider.report("1", 1, info="a", route="b")
    response = await rider.poll(known("1", tags={"info": "a", "route": "b", "mine": "m"}))
    assert shown(response) == [("taxi", "1", "old", {"info": "a", "route": "b", "mine": "m"}, [], "actual")]


async def test_force_requests_all_parts_that_anybody_knows_of_in_the_order_of_fetching(rider: Rider) -> None:
    await rider.report("1", 1, zeta="a", info="b")
    response = await rider.poll(known("1", tags={"info": "b", "alpha": "m"}, force=True))
    assert list(response.orders[0].need_request) == ["info", "route", "alpha", "zeta"]
    assert dict(response.orders[0].tags) == {"zeta": "a", "info": "b", "alpha": "m"}


async def test_an_order_that_nothing_was_reported_of_is_stale_and_its_provider_is_queried_later(
    harness: Harness, rider: Rider
) -> None:
    response = await rider.poll(known("1", status="driving", tags={"info": "a"}))
    assert shown(response) == [("taxi", "1", "driving", {"info": "a"}, [], "stale")]
    assert list(response.tags) == ["taxi"]
    # The token says that it was just queried, so that a provider that never reports is not queried at every other poll.
    again = await rider.poll(known("1"), tags=response.tags)
    assert (dict(again.tags), harness.queried()) == (dict(response.tags), NOBODY)
    harness.pass_time(RETRY_S)
    await rider.poll(known("1"), tags=again.tags)
    assert harness.queried() == {**NOBODY, "taxi": 1}


async def test_a_reported_order_that_the_app_does_not_know_comes_with_the_next_poll(
    harness: Harness, rider: Rider
) -> None:
    await rider.report("1", 1, info="a")
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=1, info="a")]
    first = await rider.poll()
    assert (shown(first), list(first.tags), harness.queried()) == ([], ["taxi"], NOBODY)
    second = await rider.poll(tags=first.tags)
    assert shown(second) == [("taxi", "1", "driving", {"info": "a"}, ["info"], "actual")]
    assert (dict(second.tags), harness.queried()) == ({}, {**NOBODY, "taxi": 1})


async def test_a_reported_end_makes_the_order_stale_and_the_next_poll_drops_it(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 1, info="a")
    await rider.report("1", 2, finished=True)
    first = await rider.poll(known("1"))
    assert shown(first) == [("taxi", "1", "old", {"info": "a"}, ["info"], "stale")]
    second = await rider.poll(known("1"), tags=first.tags)
    assert (shown(second), dict(second.tags), harness.queried()) == ([], {}, {**NOBODY, "taxi": 1})
    assert dict((await rider.poll()).tags) == {}


async def test_news_outweigh_orders_that_nothing_was_reported_of(harness: Harness, rider: Rider) -> None:
    await rider.report("new", 1)
    response = await rider.poll(known("unknown"))
    await rider.poll(tags=response.tags)
    assert harness.queried() == {**NOBODY, "taxi": 1}


async def test_another_riders_order_is_one_that_nothing_is_known_of(harness: Harness, rider: Rider) -> None:
    await harness.rider("another").report("1", 1, info="secret")
    response = await rider.poll(known("1"))
    assert shown(response) == [("taxi", "1", "old", {}, [], "stale")]


async def test_an_order_of_no_service_comes_back_as_it_was_even_if_forced(harness: Harness, rider: Rider) -> None:
    details = to_struct({"spin": 1200})
    app = known("1", "laundry", "spinning", tags={"drum": "old"}, force=True, details=details)
    response = await rider.poll(app, tags={"laundry": "tag"})
    assert shown(response) == [("laundry", "1", "spinning", {"drum": "old"}, [], "stale")]
    assert response.orders[0].details == details
    assert (dict(response.tags), list(allowed(response)), harness.queried()) == (
        {},
        ["taxi", "eats", "grocery"],
        NOBODY,
    )


async def test_orders_of_equal_ids_in_two_services_are_two(rider: Rider) -> None:
    await rider.report("1", 1, info="a")
    await rider.report("1", 1, service="eats", full_info="b")
    response = await rider.poll(known("1", "eats"), known("1"))
    assert [(one[0], one[3]) for one in shown(response)] == [("eats", {"full_info": "b"}), ("taxi", {"info": "a"})]


async def test_limits_count_the_orders_of_the_response(rider: Rider) -> None:
    response = await rider.poll(known("1", "eats"), *(known(str(number)) for number in range(2)), known("1", "grocery"))
    assert allowed(response) == {"taxi": True, "eats": "too_many_orders", "grocery": True}
    response = await rider.poll(*(known(str(number)) for number in range(3)))
    assert allowed(response) == {"taxi": "too_many_orders", "eats": True, "grocery": True}


async def test_an_app_is_never_given_more_tags_than_it_may_send(rider: Rider) -> None:
    for number in range(3):
        parts: dict[str, Any] = {f"part-{number}-{one}": "v" for one in range(20)}
        await rider.report("1", number + 1, **parts)
    await rider.report("1", 4, route="r", info="i")
    mine = {f"mine-{number}": "m" for number in range(20)}
    (state,) = (await rider.poll(known("1", tags=mine))).orders
    assert len(state.tags) == 20
    assert list(state.need_request)[:3] == ["info", "route", "part-0-0"]
    assert set(state.need_request) == set(state.tags)
    (again,) = (await rider.poll(known("1", tags=dict(state.tags)))).orders
    assert not again.need_request


# --- with poll tokens


async def test_only_the_services_with_tokens_are_queried(harness: Harness, rider: Rider) -> None:
    await rider.poll(tags={"eats": "", "grocery": "garbage"})
    assert harness.queried() == {"taxi": 0, "eats": 1, "grocery": 1}


async def test_a_providers_list_is_the_truth(harness: Harness, rider: Rider) -> None:
    listed = [
        order("new", "pending", sequence=1, details={"car": "white"}, route="r", info="i"),
        order("kept", "driving", sequence=7, info="2"),
    ]
    harness.providers["taxi"].orders[rider.uid] = listed
    apps = [known("gone"), known("kept", status="old", tags={"info": "1"}, details=to_struct({"car": "old"}))]
    response = await rider.poll(*apps, tags={"taxi": "x"})
    assert shown(response) == [
        ("taxi", "kept", "driving", {"info": "2"}, ["info"], "actual"),
        ("taxi", "new", "pending", {"info": "i", "route": "r"}, ["info", "route"], "actual"),
    ]
    assert not response.orders[0].HasField("details")
    assert from_struct(response.orders[1].details) == {"car": "white"}
    assert dict(response.tags) == {}


async def test_known_orders_keep_their_order_and_added_ones_follow_by_service(harness: Harness, rider: Rider) -> None:
    for service in ("grocery", "taxi", "eats"):
        harness.providers[service].orders[rider.uid] = [order(f"new {service}"), order(f"known {service}")]
    apps = [known("known grocery", "grocery"), known("x", "laundry"), known("known taxi"), known("known eats", "eats")]
    response = await rider.poll(*apps, tags=dict.fromkeys(("grocery", "eats", "taxi"), ""))
    ids = [one.orderid for one in response.orders]
    assert ids == ["known grocery", "x", "known taxi", "known eats", "new taxi", "new eats", "new grocery"]


@pytest.mark.parametrize("failure", [*FAILURES, None])
async def test_orders_of_an_unavailable_provider_come_back_stale_with_what_was_reported(
    harness: Harness, rider: Rider, failure: grpc.StatusCode | None, log: LogCapture
) -> None:
    await rider.report("1", 1, info="b")
    provider = harness.providers["taxi"]
    provider.failure, provider.silent = failure, failure is None
    apps = (known("1", status="mine", tags={"info": "a"}), known("2"))
    response = await rider.poll(*apps, tags={"taxi": ""})
    assert shown(response) == [
        ("taxi", "1", "mine", {"info": "b"}, ["info"], "stale"),
        ("taxi", "2", "old", {}, [], "stale"),
    ]
    # Before the interval is over it is not queried again, and the token stays as it is.
    harness.pass_time(RETRY_S - 0.001)
    again = await rider.poll(*apps, tags=response.tags)
    assert (shown(again), dict(again.tags)) == (shown(response), dict(response.tags))
    assert harness.queried() == {**NOBODY, "taxi": 1}
    # Then it is, and all is well again.
    provider.failure, provider.silent = None, False
    provider.orders[rider.uid] = [order("1", "driving", sequence=2, info="c")]
    harness.pass_time(0.001)
    healed = await rider.poll(*apps, tags=again.tags)
    assert shown(healed) == [("taxi", "1", "driving", {"info": "c"}, ["info"], "actual")]
    assert (dict(healed.tags), harness.queried()) == ({}, {**NOBODY, "taxi": 2})
    assert len(log.events("provider query failed")) == 1


async def test_one_provider_that_fails_spoils_nothing_of_the_others(harness: Harness, rider: Rider) -> None:
    harness.providers["eats"].failure = grpc.StatusCode.UNAVAILABLE
    harness.providers["taxi"].orders[rider.uid] = [order("1")]
    response = await rider.poll(known("1", "eats"), known("1"), tags=dict.fromkeys(("taxi", "eats", "grocery"), ""))
    assert [(one.service, one.update_status) for one in response.orders] == [("eats", "stale"), ("taxi", "actual")]
    assert list(response.tags) == ["eats"]


async def test_a_providers_opinion_on_more_orders_goes_before_the_limits(harness: Harness, rider: Rider) -> None:
    taxi, eats, grocery = harness.providers.values()
    taxi.can_make_more_orders, taxi.no_more_orders_reason = False, "debt"
    eats.can_make_more_orders, eats.no_more_orders_reason = True, "ignored"
    grocery.can_make_more_orders = False
    eats.orders[rider.uid] = [order("1"), order("2")]
    response = await rider.poll(tags=dict.fromkeys(("taxi", "eats", "grocery"), ""))
    assert allowed(response) == {"taxi": "debt", "eats": True, "grocery": False}
    assert allowed(await rider.poll(known("1", "eats")))["eats"] == "too_many_orders"


async def test_a_token_is_good_for_its_rider_and_its_service_only(harness: Harness, rider: Rider) -> None:
    for provider in harness.providers.values():
        provider.failure = grpc.StatusCode.UNAVAILABLE
    tags = (await rider.poll(tags={"taxi": "", "eats": ""})).tags
    assert harness.queried() == {"taxi": 1, "eats": 1, "grocery": 0}
    for foreign in ({"taxi": tags["eats"]}, {"taxi": tags["taxi"] + "x"}, {"taxi": tags["taxi"][:-1]}):
        queried = harness.queried()["taxi"]
        response = await rider.poll(known("1"), tags=foreign)
        assert (harness.queried()["taxi"], response.orders[0].update_status) == (queried + 1, "stale")
    await harness.rider("another").poll(tags={"taxi": tags["taxi"]})
    assert harness.providers["taxi"].queries["another"] == 1


async def test_an_expired_token_queries_now(harness: Harness, rider: Rider) -> None:
    harness.providers["taxi"].failure = grpc.StatusCode.UNAVAILABLE
    tags = (await rider.poll(tags={"taxi": ""})).tags
    harness.pass_time(TTL_S + 1)
    await rider.poll(tags=tags)
    assert harness.queried()["taxi"] == 2


async def test_a_provider_whose_list_contradicts_its_reports_is_queried_again_but_not_at_once(
    harness: Harness, rider: Rider
) -> None:
    await rider.report("late", 1, info="a")
    await rider.report("ended", 5, finished=True)
    provider = harness.providers["taxi"]
    for listed, ids in (([], []), ([order("late", sequence=1), order("ended", sequence=4)], ["late", "ended"])):
        provider.orders[rider.uid] = listed
        response = await rider.poll(tags={"taxi": ""})
        assert [(one.orderid, one.update_status) for one in response.orders] == [(one, "actual") for one in ids]
        queried = harness.queried()["taxi"]
        again = await rider.poll(*(known(one) for one in ids), tags=response.tags)
        assert (harness.queried()["taxi"], dict(again.tags)) == (queried, dict(response.tags))
        harness.pass_time(RETRY_S)
    provider.orders[rider.uid] = [order("late", sequence=1)]
    assert dict((await rider.poll(tags=again.tags)).tags) == {}


async def test_an_order_that_goes_on_after_its_end_was_reported_is_known_to(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 5, finished=True, info="a")
    await rider.report("bare", 5, finished=True)
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=6, info="b"), order("bare", sequence=6)]
    response = await rider.poll(tags={"taxi": ""})
    assert dict(response.tags) == {}
    plain = await rider.poll(known("1", tags={"info": "b"}), known("bare"))
    assert shown(plain) == [
        ("taxi", "1", "old", {"info": "b"}, [], "actual"),
        ("taxi", "bare", "old", {}, [], "actual"),
    ]
    assert dict(plain.tags) == {}


async def test_a_list_that_is_older_than_the_reported_end_does_not_undo_it(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 5, finished=True)
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=4, info="4")]
    await rider.poll(tags={"taxi": ""})
    assert await harness.stored() == [("taxi", "1", rider.uid, True, True, 5, "info", "4", 4)]


# --- versions never go back


async def test_what_a_provider_listed_is_remembered_when_nobody_is_queried(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 2, info="2", route="2")
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=3, info="3")]
    (listed,) = (await rider.poll(known("1"), tags={"taxi": ""})).orders
    assert dict(listed.tags) == {"info": "3", "route": "2"}
    (plain,) = (await rider.poll(known("1", tags=dict(listed.tags)))).orders
    assert (dict(plain.tags), list(plain.need_request), plain.update_status) == (dict(listed.tags), [], "actual")
    assert await rider.report("1", 3, info="late") is False
    assert dict((await rider.poll(known("1"))).orders[0].tags) == {"info": "3", "route": "2"}


async def test_a_provider_that_lags_behind_its_reports_does_not_turn_versions_back(
    harness: Harness, rider: Rider
) -> None:
    await rider.report("1", 5, info="5")
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=4, info="4", route="4")]
    (listed,) = (await rider.poll(known("1"), tags={"taxi": ""})).orders
    assert dict(listed.tags) == {"info": "5", "route": "4"}
    assert dict((await rider.poll(known("1"))).orders[0].tags) == {"info": "5", "route": "4"}


async def test_of_two_versions_of_one_change_the_first_stays(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 5, info="reported")
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=5, info="listed")]
    for tags in ({"taxi": ""}, {}, {"taxi": ""}):
        assert dict((await rider.poll(known("1"), tags=tags)).orders[0].tags) == {"info": "reported"}


async def test_a_provider_that_only_lists_is_queried_once_in_every_interval(harness: Harness, rider: Rider) -> None:
    provider = harness.providers["taxi"]
    provider.orders[rider.uid] = [order("1", sequence=3, info="3")]
    await rider.poll(tags={"taxi": ""})
    plain = await rider.poll(known("1", tags={"info": "2"}))
    assert shown(plain) == [("taxi", "1", "old", {"info": "3"}, ["info"], "stale")]
    provider.orders[rider.uid] = [order("1", sequence=4, info="4")]
    assert (await rider.poll(known("1"), tags=plain.tags)).orders[0].update_status == "stale"
    harness.pass_time(RETRY_S)
    healed = await rider.poll(known("1"), tags=plain.tags)
    assert shown(healed) == [("taxi", "1", "driving", {"info": "4"}, ["info"], "actual")]
    assert provider.queries[rider.uid] == 2


async def test_a_list_without_numbers_is_the_newest_and_is_not_remembered(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 9, info="9")
    harness.providers["taxi"].orders[rider.uid] = [order("1", info="listed"), order("2", info="listed")]
    response = await rider.poll(known("1"), tags={"taxi": ""})
    assert [dict(one.tags) for one in response.orders] == [{"info": "listed"}] * 2
    assert await harness.stored() == [("taxi", "1", rider.uid, True, False, 0, "info", "9", 9)]


async def test_a_list_shows_nothing_of_another_riders_order(harness: Harness, rider: Rider) -> None:
    await harness.rider("owner").report("1", 1, info="1")
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=9, info="9"), order("2", sequence=1, info="1")]
    await rider.poll(tags={"taxi": ""})
    assert [row[:3] + row[6:] for row in await harness.stored()] == [
        ("taxi", "1", "owner", "info", "1", 1),
        ("taxi", "2", rider.uid, "info", "1", 1),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        [order("1"), order("1")],
        [order("")],
        [order("a\nb")],
        [order("x" * 129)],
        [order("1", **NUL_IN_A_NAME)],
        [order("1", info="v\0")],
        [order("1", info="")],
        [order("1", "s" * 129)],
        [order("1", sequence=-1)],
    ],
)
async def test_a_list_that_breaks_the_contract_is_no_response(
    harness: Harness, rider: Rider, bad: list[object]
) -> None:
    harness.providers["taxi"].orders[rider.uid] = bad  # type: ignore[assignment]
    response = await rider.poll(known("1"), tags={"taxi": ""})
    assert shown(response) == [("taxi", "1", "old", {}, [], "stale")]
    assert list(response.tags) == ["taxi"]
    assert await harness.stored() == []


async def test_numbers_that_are_no_numbers_in_details_harm_nobody(harness: Harness, rider: Rider) -> None:
    odd = to_struct({"x": 1})
    odd.fields["x"].number_value = float("nan")
    with pytest.raises(InvalidRequest) as refused:
        await rider.poll(known("1", details=odd))
    assert [(one.field, one.reason) for one in refused.value.violations] == [
        ('known_orders[0].details["x"]', "json.number")
    ]
    bad = order("1")
    bad.details.CopyFrom(odd)
    harness.providers["taxi"].orders[rider.uid] = [bad]
    assert (await rider.poll(known("1"), tags={"taxi": ""})).orders[0].update_status == "stale"


# --- outages and many at once


async def test_polls_fail_while_the_database_is_away_and_recover(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 1, info="a")
    name = conninfo.conninfo_to_dict(harness.suite.database_url)["dbname"]
    elsewhere = conninfo.make_conninfo(harness.suite.database_url, dbname="postgres")
    async with await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as connection:
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        for tags in ({}, {"taxi": ""}):
            with pytest.raises(DatabaseUnavailable):
                await rider.poll(known("1"), tags=tags)
        assert harness.queried() == NOBODY
        await connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())

    async def is_back() -> bool:
        try:
            return (await rider.poll(known("1"))).orders[0].update_status == "actual"
        except DatabaseUnavailable:
            return False

    await until(is_back)


async def test_polls_do_not_notice_that_connections_were_lost(harness: Harness, rider: Rider) -> None:
    await rider.report("1", 1, info="a")
    await harness.suite.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    # A read is repeated on a fresh connection.
    assert (await rider.poll(known("1"))).orders[0].update_status == "actual"


async def test_a_list_that_cannot_be_recorded_is_returned_nevertheless(
    harness: Harness, rider: Rider, log: LogCapture
) -> None:
    harness.providers["taxi"].orders[rider.uid] = [order("1", sequence=1, info="a")]
    never = "CONSTRAINT never"
    await harness.suite.execute(f"ALTER TABLE order_state.orders ADD {never} CHECK (finish_sequence < 0) NOT VALID")
    response = await rider.poll(tags={"taxi": ""})
    await harness.suite.execute(f"ALTER TABLE order_state.orders DROP {never}")
    assert [one.update_status for one in response.orders] == ["actual"]
    assert len(log.events("listed orders not recorded")) == 1


async def test_providers_are_queried_side_by_side(harness: Harness, rider: Rider) -> None:
    together = asyncio.Barrier(3)
    for provider in harness.providers.values():
        provider.together = together
    # Queried one after another, none would respond in time.
    assert not (await rider.poll(tags=dict.fromkeys(("taxi", "eats", "grocery"), ""))).tags


async def test_many_apps_of_many_riders_at_once_get_their_own_orders(harness: Harness) -> None:
    riders = [harness.rider(f"rider-{number}") for number in range(30)]
    await asyncio.gather(*(rider.report(rider.uid, 1, info=rider.uid) for rider in riders))
    responses = await asyncio.gather(*(rider.poll(known(rider.uid)) for rider in riders * 3))
    for rider, response in zip(riders * 3, responses, strict=True):
        assert shown(response) == [("taxi", rider.uid, "old", {"info": rider.uid}, ["info"], "actual")]


async def test_each_service_is_called_with_a_ticket_for_itself(harness: Harness, rider: Rider) -> None:
    await rider.poll(tags=dict.fromkeys(("taxi", "eats", "grocery"), ""))
    destinations = [
        jwt.decode(one, options={"verify_signature": False})["dst"]
        for provider in harness.providers.values()
        for one in provider.tickets
    ]
    assert destinations == ["order-core", "eats-orders", "grocery-orders"]
