"""What a poller fetches, keeps, shows and sends."""

from __future__ import annotations

from dataclasses import replace

import grpc
import pytest

from ridehail_clients import (
    AllowedChanges,
    CardPart,
    LaunchOrder,
    OrderCard,
    PartInvalid,
    PolledPart,
    PollingPolicy,
    TransportUnavailable,
)
from tests.order_state.polling_app import (
    ACTUAL,
    ALLOWED,
    STALE,
    PollingApp,
    Start,
    launched,
    order_state,
    policy,
    response,
)

TAXI, EATS = ("taxi", "order1"), ("eats", "order1")
FAST, PART2, FULL = policy("taxi", "fast_info", 2, required=True), policy("taxi", "part2", 3), policy("eats", "full", 1)
DOWN = TransportUnavailable(grpc.StatusCode.UNAVAILABLE, message="scripted")


async def test_without_orders_from_launch_the_poller_does_not_start_and_says_so(app: PollingApp) -> None:
    assert await app("start", None) is None

    assert not app.poller.is_started
    for method in ("poll_once", "run"):
        with pytest.raises(RuntimeError, match="not started"):
            await app(method)
    assert (app.polls, app.slept) == ([], [])


async def test_a_later_launch_without_orders_stops_it(app: PollingApp) -> None:
    await app("start", launched())
    assert await app("start", None) is None

    with pytest.raises(RuntimeError, match="not started"):
        await app("poll_once")


async def test_parts_are_fetched_by_priority_over_all_orders_then_the_others_as_listed(app: PollingApp) -> None:
    orders = order_state("taxi", "order1", "z", "part2", "a", "fast_info"), order_state("eats", "order1", "x", "full")

    report = await app("start", launched(*orders, policy=[PART2, FAST, FULL]))

    assert app.names == ["full", "fast_info", "part2", "z", "a", "x"]
    assert app.policies == [FULL, FAST, PART2, None, None, None]
    assert [one.part_name for one in report.fetched] == app.names
    assert (report.applied, report.failed) == (True, ())


async def test_a_part_is_kept_with_its_tag_and_the_tag_is_sent_with_the_next_poll(app: PollingApp) -> None:
    app.responses = [
        response(order_state("taxi", "order1", "part2", tags={"fast_info": "1", "part2": "1"})),
        response(),
    ]
    await app("start", launched(order_state("taxi", "order1", "fast_info"), policy=[FAST]))

    await app("poll_once")
    app.now += 5
    await app("poll_once")

    assert [poll[0][TAXI].tags for poll in app.polls] == [{"fast_info": "1"}, {"fast_info": "1", "part2": "1"}]
    assert app.names == ["fast_info", "part2"]


async def test_cards_show_what_was_fetched_and_what_is_missing(app: PollingApp) -> None:
    app.fetch_errors = {"fast_info": [OSError()]}
    order = order_state("taxi", "order1", "fast_info", "part2", details={"car": "red"})
    await app("start", launched(order, policy=[FAST, PART2]))

    card = app.cards[TAXI]
    assert (card.status, card.update_status, card.details) == ("driving", ACTUAL, {"car": "red"})
    assert card.parts == {"part2": CardPart(1, "1", 1000.0)}
    assert (card.missing, card.is_complete, card.outdated) == (("fast_info",), False, ("fast_info",))

    app.responses = [response(replace(order, need_request=("fast_info",)))]
    await app("poll_once")

    card = app.cards[TAXI]
    assert (card.missing, card.is_complete, card.outdated) == ((), True, ())


@pytest.mark.parametrize("error", [OSError("gone"), PartInvalid("no fields"), DOWN], ids=lambda one: type(one).__name__)
async def test_a_part_that_fails_keeps_its_old_tag_and_content_and_the_others_are_fetched(
    app: PollingApp, error: Exception
) -> None:
    changed = order_state("taxi", "order1", "fast_info", "part2", tags={"fast_info": "2", "part2": "2"})
    app.responses = [response(changed), response(replace(changed, need_request=("fast_info",)))]
    await app("start", launched(order_state("taxi", "order1", "fast_info", "part2"), policy=[FAST, PART2]))
    app.fetch_errors = {"fast_info": [error]}

    report = await app("poll_once")
    card = app.cards[TAXI]
    assert report.failed == (PolledPart("taxi", "order1", "fast_info", error),)
    assert [one.part_name for one in report.fetched] == ["part2"]
    assert {name: (part.content, part.tag) for name, part in card.parts.items()} == {
        "fast_info": (1, "1"),
        "part2": (3, "2"),
    }
    await app("poll_once")

    assert app.polls[1][0][TAXI].tags == {"fast_info": "1", "part2": "2"}
    assert app.cards[TAXI].parts["fast_info"].tag == "2"
    assert app.invalid == ([("taxi", "fast_info", "no fields")] if isinstance(error, PartInvalid) else [])


async def test_parts_with_another_polling_type_follow_the_rule_of_the_app(app_of: Start) -> None:
    by_distance = policy("taxi", "route", 1, polling_type="route_distance_depended")
    unknown = policy("taxi", "weather", 1, polling_type="by_the_moon")
    calls: list[tuple[OrderCard[int], PollingPolicy]] = []

    def is_due(card: OrderCard[int], rule_of: PollingPolicy) -> bool:
        calls.append((card, rule_of))
        return len(calls) != 2

    app = app_of(rules={"route_distance_depended": is_due})
    orders = order_state("taxi", "order1", "route", "weather", "fast_info"), order_state("eats", "order1")
    app.responses = [response(*orders)]
    await app("start", launched(*orders, policy=[FAST, unknown, by_distance]))
    assert app.names == ["route", "fast_info"]

    await app("poll_once")
    assert app.names == ["route", "fast_info"]
    await app("poll_once")
    assert app.names == ["route", "fast_info", "route"]
    assert [(card.orderid, rule_of) for card, rule_of in calls] == [("order1", by_distance)] * 3
    assert [list(card.parts) for card, _ in calls] == [[], ["route", "fast_info"], ["route", "fast_info"]]


async def test_a_rule_that_raises_fails_its_part_alone(app_of: Start) -> None:
    def broken(_card: OrderCard[int], _policy: PollingPolicy) -> bool:
        raise ZeroDivisionError

    app = app_of(rules={"custom": broken})

    report = await app(
        "start",
        launched(
            order_state("taxi", "order1", "fast_info"), policy=[FAST, policy("taxi", "x", 1, polling_type="custom")]
        ),
    )

    assert [one.part_name for one in report.fetched] == ["fast_info"]
    assert [(one.part_name, type(one.error)) for one in report.failed] == [("x", ZeroDivisionError)]


def test_parts_that_order_state_decides_about_have_no_rule(app_of: Start) -> None:
    with pytest.raises(ValueError, match="tag_defined"):
        app_of(rules={"tag_defined": lambda _card, _policy: True})


async def test_poll_tokens_are_sent_with_the_next_poll_and_only_then(app: PollingApp) -> None:
    app.responses = [response(taxi="second"), DOWN, response(), response()]
    await app("start", launched(eats="first", taxi="first"))

    await app("poll_once")
    with pytest.raises(TransportUnavailable):
        await app("poll_once")
    await app("poll_once")
    await app("poll_once")

    # A poll that failed has taken nothing from them.
    assert [tags for _, tags in app.polls] == [
        {"eats": "first", "taxi": "first"},
        {"taxi": "second"},
        {"taxi": "second"},
        {},
    ]


async def test_orders_come_and_go_with_responses(app: PollingApp) -> None:
    app.responses = [
        response(order_state("taxi", "order1"), order_state("eats", "order1", "full")),
        response(order_state("eats", "order1", tags={"full": "1"})),
        DOWN,
    ]
    await app("start", launched(order_state("taxi", "order1")))

    await app("poll_once")
    assert list(app.cards) == [TAXI, EATS]
    await app("poll_once")
    assert list(app.cards) == [EATS]
    with pytest.raises(TransportUnavailable):
        await app("poll_once")
    assert list(app.cards) == [EATS]
    assert [list(poll[0]) for poll in app.polls] == [[TAXI], [TAXI, EATS], [EATS]]


async def test_while_an_order_is_stale_the_app_keeps_what_it_has(app: PollingApp) -> None:
    app.responses = [
        response(
            order_state("taxi", "order1", "part2", status="old", update_status=STALE, details=None, tags={"part2": "2"})
        ),
        response(order_state("taxi", "order1", status="waiting")),
    ]
    await app("start", launched(order_state("taxi", "order1", "fast_info", details={"car": "red"})))

    await app("poll_once")
    card = app.cards[TAXI]
    assert (card.status, card.details, card.update_status) == ("driving", {"car": "red"}, STALE)
    assert list(card.parts) == ["fast_info", "part2"]

    await app("poll_once")
    card = app.cards[TAXI]
    assert (card.status, card.details, card.update_status) == ("waiting", None, ACTUAL)


async def test_members_of_the_app_s_own_stay_with_the_order(app: PollingApp) -> None:
    app.responses = [response(order_state("taxi", "order1"))]
    state = launched()
    order = LaunchOrder("order1", "taxi", "driving", {}, (), ACTUAL, other={"some_field": "some_value"})
    await app("start", replace(state, orders=(order,)))

    await app("poll_once")

    assert app.cards[TAXI].other == {"some_field": "some_value"}
    assert app.poller.known_orders[0].other == {"some_field": "some_value"}


async def test_allowed_changes_are_those_of_the_last_response(app: PollingApp) -> None:
    more = AllowedChanges("taxi", can_make_more_orders=True)
    no_more = AllowedChanges("taxi", can_make_more_orders=False, no_more_orders_reason="too_many_orders")
    app.responses = [replace(response(), allowed_changes=(no_more,))]
    assert app.poller.allowed_changes == {}

    await app("start", replace(launched(), allowed_changes=(more,)))
    assert app.poller.allowed_changes == {"taxi": more}
    await app("poll_once")
    assert app.poller.allowed_changes == {"taxi": no_more}


async def test_services_that_the_app_does_not_support_are_ignored(app: PollingApp) -> None:
    """Polls return all services."""
    app.responses = [
        response(order_state("taxi", "order1"), order_state("eats", "order1", "full"), taxi="tag", eats="tag")
    ]
    state = launched(order_state("taxi", "order1"))
    await app("start", replace(state, allowed_changes=ALLOWED[:1]))

    await app("poll_once")
    await app("poll_once")

    assert (list(app.cards), app.names, list(app.poller.allowed_changes)) == ([TAXI], [], ["taxi"])
    assert app.polls[1][1] == {"taxi": "tag"}


async def test_force_requests_everything_once(app: PollingApp) -> None:
    orders = order_state("taxi", "order1", "fast_info"), order_state("eats", "order1", "full")
    calm = [replace(one, need_request=()) for one in orders]
    app.responses = [response(orders[0], calm[1]), response(*calm)]
    await app("start", launched(*orders))

    assert app.poller.force(service="taxi", orderid="order1")
    assert not app.poller.force(service="grocery")
    await app("poll_once")
    await app("poll_once")

    assert [{key: one.force for key, one in poll[0].items()} for poll in app.polls] == [
        {TAXI: True, EATS: False},
        {TAXI: False, EATS: False},
    ]
    assert app.names == ["fast_info", "full", "fast_info"]
    assert app.cards[TAXI].parts["fast_info"].content == 3


async def test_force_stays_until_a_poll_succeeds(app: PollingApp) -> None:
    app.responses = [DOWN, response(order_state("taxi", "order1"))]
    await app("start", launched(order_state("taxi", "order1")))
    app.poller.force()

    with pytest.raises(TransportUnavailable):
        await app("poll_once")
    await app("poll_once")
    await app("poll_once")

    assert [poll[0][TAXI].force for poll in app.polls] == [True, True, False]


async def test_a_forced_part_that_fails_is_fetched_again_though_its_tag_is_the_current_one(app: PollingApp) -> None:
    order = order_state("taxi", "order1", "fast_info", "unknown_part", tags={"fast_info": "1"})
    app.responses = [response(order), response(replace(order, need_request=()))]
    await app("start", launched(order_state("taxi", "order1", "fast_info")))
    app.fetch_errors = {"fast_info": [OSError(), OSError()], "unknown_part": [OSError()]}

    app.poller.force(orderid="order1")
    await app("poll_once")
    assert sorted(app.cards[TAXI].outdated) == ["fast_info", "unknown_part"]
    await app("poll_once")
    await app("poll_once")
    await app("poll_once")

    # A part of which nothing is known may not exist: it is not fetched again and again.
    assert app.names == ["fast_info", "fast_info", "unknown_part", "fast_info", "fast_info"]
    assert app.cards[TAXI].outdated == ()


async def test_cards_of_an_earlier_run_are_known_and_not_fetched_again(app_of: Start) -> None:
    before = OrderCard(
        "order1", "taxi", "driving", ACTUAL, {"car": "red"}, {"a": 1}, {"fast_info": CardPart(7, "1", 5.0)}
    )
    app = app_of(cards=[before])

    (known,) = app.poller.known_orders
    assert (known.service, known.orderid, known.tags) == ("taxi", "order1", {"fast_info": "1"})
    assert (known.details, known.other, known.force) == ({"car": "red"}, {"a": 1}, False)
    await app("start", launched(order_state("taxi", "order1", tags={"fast_info": "1"}), order_state("eats", "order1")))

    assert app.names == []
    assert app.cards[TAXI].parts == before.parts


async def test_launch_drops_what_it_omits(app_of: Start) -> None:
    app = app_of(cards=[OrderCard("order1", "taxi", "driving", ACTUAL)])

    await app("start", launched(order_state("eats", "order1")))

    assert list(app.cards) == [EATS]


async def test_what_is_sent_stays_within_the_limits_of_the_contract(app: PollingApp) -> None:
    names = [f"part{number}" for number in range(30)]
    orders = [order_state("taxi", f"order{number}", status="x" * 200) for number in range(60)]
    await app("start", launched(order_state("eats", "order1", *names), *orders))

    await app("poll_once")

    known, _ = app.polls[0]
    assert len(known) == 50
    assert len(known[EATS].tags) == 20
    assert {len(one.status) for key, one in known.items() if key != EATS} == {128}
    assert len(app.names) == 30
