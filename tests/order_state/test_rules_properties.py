"""The rules, for any history: nothing that changed is missed, nothing is fetched twice, no version goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ridehail_servers.order_state.order_parts import MAX_PARTS, is_news, newest_versions
from ridehail_servers.order_state.orders import ActiveOrder, ActiveOrders, KnownOrder, PartVersion, RecordedOrder
from ridehail_servers.order_state.orders_state import OrdersState, decide_orders_state
from ridehail_servers.order_state.poll_tokens import TokenKind
from ridehail_servers.order_state.polling_policy import PartPolicy, PollingPolicy
from ridehail_servers.order_state.service_orders import ProviderResult, Skipped, Throttled, Unavailable

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
SERVICES = ["taxi", "eats"]
PARTS = ["info", "route", "a", "b"]
POLICY = PollingPolicy(
    PartPolicy(
        service="taxi",
        part_name=part,
        url=f"/{part}",
        polling_type="tag_defined",
        part_type="card",
        priority=priority,
    )
    for priority, part in enumerate(["info", "route", "unknown"])
)
VERSIONS = st.sampled_from(["1", "2", "3"])
TAGS = st.dictionaries(st.sampled_from([*PARTS, "mine"]), st.one_of(VERSIONS, st.just("")), max_size=5)
ORDERIDS = st.sampled_from(["x", "y", "z"])

Key = tuple[str, str]

KNOWN = st.lists(
    st.builds(
        KnownOrder,
        service=st.sampled_from([*SERVICES, "laundry"]),
        orderid=ORDERIDS,
        status=st.just("app's"),
        tags=TAGS,
        force=st.booleans(),
        details=st.none(),
    ),
    max_size=5,
    unique_by=lambda one: one[:2],
).map(lambda orders: {(one.service, one.orderid): one for one in orders})
RECORDED = st.dictionaries(
    st.tuples(st.sampled_from(SERVICES), ORDERIDS),
    st.builds(
        RecordedOrder,
        reported=st.booleans(),
        finished=st.booleans(),
        finish_sequence=st.integers(0, 4),
        parts=st.dictionaries(st.sampled_from(PARTS), st.tuples(VERSIONS, st.integers(1, 4)), max_size=3),
    ),
    max_size=4,
)
RESPONSES = st.builds(
    ActiveOrders,
    orders=st.lists(
        st.builds(
            ActiveOrder,
            orderid=ORDERIDS,
            status=st.just("listed"),
            parts=st.dictionaries(st.sampled_from(PARTS), VERSIONS, max_size=3),
            sequence=st.integers(0, 4),
            details=st.none(),
        ),
        max_size=3,
        unique_by=lambda one: one.orderid,
    ),
    can_make_more_orders=st.none() | st.booleans(),
)
RESULTS: st.SearchStrategy[ProviderResult] = st.one_of(
    RESPONSES, st.builds(Skipped), st.builds(Unavailable), st.just(Throttled("t"))
)


def decide(
    known: Mapping[Key, KnownOrder],
    recorded: Mapping[Key, RecordedOrder],
    results: Mapping[str, ProviderResult],
    limit: int | None = None,
) -> OrdersState:
    limits = {} if limit is None else dict.fromkeys(SERVICES, limit)
    stored: dict[str, dict[str, RecordedOrder]] = {}
    for (service, orderid), order in recorded.items():
        stored.setdefault(service, {})[orderid] = order
    deciding = decide_orders_state(
        list(known.values()),
        stored,
        results,
        policy=POLICY,
        limits=limits,
        issue_token=lambda kind, _service: kind.name,
    )
    return asyncio.run(deciding)


@settings(max_examples=200)
@given(
    known=KNOWN,
    recorded=RECORDED,
    results=st.fixed_dictionaries(dict.fromkeys(SERVICES, RESULTS)),
    limit=st.integers(0, 4),
)
def test_a_response_keeps_all_the_rules(
    known: dict[Key, KnownOrder],
    recorded: dict[Key, RecordedOrder],
    results: Mapping[str, ProviderResult],
    limit: int,
) -> None:
    """One draw for all of them: drawing costs more than the rules do."""
    response = decide(known, recorded, results, limit)
    an_app_fetches_what_it_lacks_and_nothing_else(response, known, recorded, results)
    an_order_is_actual_if_its_provider_lists_or_reports_it_else_there_is_a_poll_token(
        response, known, recorded, results
    )
    the_limit_is_held_against_all_orders_that_are_under_way(response, known, recorded, results, limit)


def an_app_fetches_what_it_lacks_and_nothing_else(
    response: OrdersState,
    known: dict[Key, KnownOrder],
    recorded: dict[Key, RecordedOrder],
    results: Mapping[str, ProviderResult],
) -> None:
    for state in response.orders:
        app, service = known.get(state[:2]), results.get(state.service)
        listed = {}
        if isinstance(service, ActiveOrders):
            listed = {one.orderid: one for one in service.orders}
        versions = newest_versions(listed.get(state.orderid), recorded.get(state[:2]))
        sources = {part: version for part, (version, _) in versions.items()}
        if service is None:
            assert app is not None
            assert (state.tags, state.need_request, state.update_status) == (app.tags, (), "stale")
            continue
        has = {} if app is None else app.tags
        differing = {part for part, version in sources.items() if has.get(part) != version}
        assert differing <= set(state.need_request)
        assert len(set(state.need_request)) == len(state.need_request)
        if app is None or not app.force:
            assert set(state.need_request) == differing
        else:
            assert set(state.need_request) == sources.keys() | has.keys() | set(POLICY.part_names(state.service))
        assert state.tags == {**has, **sources}


def an_order_is_actual_if_its_provider_lists_or_reports_it_else_there_is_a_poll_token(
    response: OrdersState,
    known: dict[Key, KnownOrder],
    recorded: dict[Key, RecordedOrder],
    results: Mapping[str, ProviderResult],
) -> None:
    shown = {state[:2]: state for state in response.orders}
    assert len(shown) == len(response.orders)
    assert [key for key in shown if key in known] == [key for key in known if key in shown]
    for key, state in shown.items():
        service, own = results.get(key[0]), recorded.get(key)
        if isinstance(service, ActiveOrders):
            is_actual = True
        else:
            goes_on = own is not None and own.reported and not own.finished
            is_actual = isinstance(service, Skipped) and goes_on
        assert state.update_status == ("actual" if is_actual else "stale")
    for service_name, service in results.items():
        of_service = [state for state in response.orders if state.service == service_name]
        if isinstance(service, ActiveOrders):
            assert {state.orderid for state in of_service} == {one.orderid for one in service.orders}
            assert {state.status for state in of_service} <= {"listed"}
        else:
            under_way = {
                key for key, one in recorded.items() if key[0] == service_name and one.reported and not one.finished
            }
            own_keys = {key for key in known if key[0] == service_name}
            # What is stored takes the place of a list that there is none of.
            assert {state[:2] for state in of_service} == own_keys | (set() if service == Skipped() else under_way)
            stale = any(state.update_status == "stale" for state in of_service)
            assert not stale or service_name in response.poll_tokens
        if isinstance(service, Skipped):
            news = any(
                one.reported and not one.finished and key not in known
                for key, one in recorded.items()
                if key[0] == service_name
            )
            ended = any(
                one.reported and one.finished and key in known
                for key, one in recorded.items()
                if key[0] == service_name
            )
            assert (response.poll_tokens.get(service_name) == TokenKind.QUERY_NOW.name) == (news or ended)


def the_limit_is_held_against_all_orders_that_are_under_way(
    response: OrdersState,
    known: dict[Key, KnownOrder],
    recorded: dict[Key, RecordedOrder],
    results: Mapping[str, ProviderResult],
    limit: int,
) -> None:
    """What was reported counts though the app does not name it, and what has ended does not though it does."""
    for changes in response.allowed_changes:
        service = results[changes.service]
        reported = {key: one.finished for key, one in recorded.items() if one.reported and key[0] == changes.service}
        under_way = {key for key, finished in reported.items() if not finished}
        under_way |= {key for key in known if key[0] == changes.service and key not in reported}
        if isinstance(service, ActiveOrders):
            if service.can_make_more_orders is not None:
                assert changes.can_make_more_orders == service.can_make_more_orders
                continue
            under_way = {(changes.service, one.orderid) for one in service.orders}
        assert changes.can_make_more_orders == (len(under_way) < limit)
        assert changes.no_more_orders_reason == (None if len(under_way) < limit else "too_many_orders")


# --- a history of one order


@dataclass
class Stored:
    """What the table would have of one order: of each part what has the highest number."""

    parts: dict[str, PartVersion] = field(default_factory=dict)
    finish_sequence: int = 0

    def take(self, parts: Mapping[str, str], sequence: int) -> None:
        for part, version in parts.items():
            if part not in self.parts or sequence > self.parts[part][1]:
                self.parts[part] = (version, sequence)

    @property
    def order(self) -> RecordedOrder | None:
        return RecordedOrder(True, False, self.finish_sequence, dict(self.parts))


@settings(max_examples=120)
@example(
    changes=[{"a"}, {"a"}, {"b"}],
    events=[("report", 0, False), ("report", 2, True), ("asking poll", 2, False), ("plain poll", 0, False)],
)
@given(
    changes=st.lists(st.sets(st.sampled_from(PARTS), min_size=1), min_size=1, max_size=6),
    events=st.lists(
        st.tuples(st.sampled_from(["report", "plain poll", "asking poll"]), st.integers(0, 5), st.booleans()),
        max_size=14,
    ),
)
def test_no_version_goes_back_however_late_reports_and_lists_are(
    changes: list[set[str]], events: list[tuple[str, int, bool]]
) -> None:
    """A part's version is the number of the change that made it, so that the older of two is the lower one."""
    states: list[dict[str, str]] = [{}]
    for number, changed in enumerate(changes, 1):
        states.append({**states[-1], **dict.fromkeys(changed, str(number))})
    stored, seen = Stored(), dict[str, int]()
    for kind, number, says_end in events:
        sequence = 1 + number % len(changes)
        if kind == "report":
            stored.take(dict.fromkeys(changes[sequence - 1], str(sequence)), sequence)
            if says_end:
                stored.finish_sequence = max(stored.finish_sequence, sequence)
            continue
        listed = None
        if kind == "asking poll":
            listed = ActiveOrder("x", "listed", states[sequence], sequence, None)
        versions = newest_versions(listed, stored.order)
        for part, (version, _) in versions.items():
            assert int(version) >= seen.get(part, 0)
            seen[part] = int(version)
        assert seen.keys() == versions.keys()
        if listed is not None and is_news(listed, stored.order):
            stored.take(listed.parts, listed.sequence)
            stored.finish_sequence = max(stored.finish_sequence, listed.sequence)


@settings(max_examples=60)
@given(
    versions=st.dictionaries(st.text(min_size=1, max_size=3), VERSIONS, max_size=40),
    tags=st.dictionaries(st.text(min_size=1, max_size=3), VERSIONS, max_size=20),
)
def test_an_app_is_never_given_more_tags_than_it_may_send(versions: dict[str, str], tags: dict[str, str]) -> None:
    key = ("taxi", "x")
    recorded = {key: RecordedOrder(True, False, 0, {part: (one, 1) for part, one in versions.items()})}
    app = KnownOrder(*key, "", tags, force=False, details=None)
    response = decide({key: app}, recorded, {"taxi": Skipped()})
    (state,) = response.orders
    assert len(state.tags) <= MAX_PARTS
    assert set(state.need_request) <= state.tags.keys()
    (again,) = decide({key: app._replace(tags=state.tags)}, recorded, {"taxi": Skipped()}).orders
    assert not again.need_request
