"""The rules, for any history: nothing that changed is missed, nothing is fetched twice, no version goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ridehail_servers.order_state.answer import Answer, decide_answer
from ridehail_servers.order_state.orders import (
    ActiveOrder,
    KnownOrder,
    OrderKey,
    PartVersion,
    ProviderAnswer,
    RecordedOrder,
)
from ridehail_servers.order_state.part_versions import MOST_PARTS, current_versions, is_news
from ridehail_servers.order_state.polling_policy import PartPolicy, PollingPolicy
from ridehail_servers.order_state.service_orders import Heard, NewTag, NoAnswer, NotAsked, TooEarly

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)
SERVICES = ["taxi", "eats"]
PARTS = ["info", "route", "a", "b"]
POLICY = PollingPolicy(
    PartPolicy("taxi", part, f"/{part}", (), "tag_defined", "card", priority, None)
    for priority, part in enumerate(["info", "route", "unheard"])
)
VERSIONS = st.sampled_from(["1", "2", "3"])
TAGS = st.dictionaries(st.sampled_from([*PARTS, "mine"]), st.one_of(VERSIONS, st.just("")), max_size=5)
ORDERIDS = st.sampled_from(["x", "y", "z"])


def known_orders(services: Sequence[str]) -> st.SearchStrategy[dict[OrderKey, KnownOrder]]:
    orders = st.builds(
        KnownOrder,
        key=st.builds(OrderKey, st.sampled_from([*services, "laundry"]), ORDERIDS),
        status=st.just("app's"),
        tags=TAGS,
        force=st.booleans(),
        details=st.none(),
    )
    return st.lists(orders, max_size=5, unique_by=lambda one: one.key).map(lambda all_: {one.key: one for one in all_})


RECORDED = st.lists(
    st.builds(
        RecordedOrder,
        key=st.builds(OrderKey, st.sampled_from(SERVICES), ORDERIDS),
        reported=st.booleans(),
        finished=st.booleans(),
        finish_sequence=st.integers(0, 4),
        parts=st.dictionaries(st.sampled_from(PARTS), st.builds(PartVersion, VERSIONS, st.integers(1, 4)), max_size=3),
    ),
    max_size=4,
    unique_by=lambda one: one.key,
)
ANSWERS = st.builds(
    ProviderAnswer,
    orders=st.lists(
        st.builds(
            ActiveOrder,
            orderid=ORDERIDS,
            status=st.just("told"),
            parts=st.dictionaries(st.sampled_from(PARTS), VERSIONS, max_size=3),
            sequence=st.integers(0, 4),
            details=st.none(),
        ),
        max_size=3,
        unique_by=lambda one: one.orderid,
    ),
    can_make_more_orders=st.none() | st.booleans(),
)
HEARD: st.SearchStrategy[Heard] = st.one_of(ANSWERS, st.builds(NotAsked), st.builds(NoAnswer), st.just(TooEarly("t")))


@settings(max_examples=200)
@given(
    known=known_orders(SERVICES),
    recorded=RECORDED,
    heard=st.fixed_dictionaries(dict.fromkeys(SERVICES, HEARD)),
    limit=st.integers(0, 4),
)
def test_an_answer_keeps_all_the_rules(
    known: dict[OrderKey, KnownOrder], recorded: list[RecordedOrder], heard: Mapping[str, Heard], limit: int
) -> None:
    """One draw for all of them: drawing costs more than the rules do."""
    deciding = decide_answer(known, recorded, heard, policy=POLICY, limits=dict.fromkeys(SERVICES, limit))
    answer = asyncio.run(deciding)
    an_app_is_told_to_fetch_what_it_lacks_and_nothing_else(answer, known, recorded, heard)
    an_order_is_actual_if_its_service_told_of_it_and_what_is_not_can_be_asked_for(answer, known, recorded, heard)
    the_limit_is_held_against_all_orders_that_are_under_way(answer, known, recorded, heard, limit)


def an_app_is_told_to_fetch_what_it_lacks_and_nothing_else(
    answer: Answer, known: dict[OrderKey, KnownOrder], recorded: list[RecordedOrder], heard: Mapping[str, Heard]
) -> None:
    stored = {one.key: one for one in recorded}
    for state in answer.orders:
        app, service = known.get(state.key), heard.get(state.key.service)
        told = {}
        if isinstance(service, ProviderAnswer):
            told = {one.orderid: one for one in service.orders}
        sources = current_versions(told.get(state.key.orderid), stored.get(state.key), ())
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
            assert set(state.need_request) == sources.keys() | has.keys() | set(POLICY.part_names(state.key.service))
        assert state.tags == {**has, **sources}


def an_order_is_actual_if_its_service_told_of_it_and_what_is_not_can_be_asked_for(
    answer: Answer, known: dict[OrderKey, KnownOrder], recorded: list[RecordedOrder], heard: Mapping[str, Heard]
) -> None:
    stored = {one.key: one for one in recorded}
    shown = {state.key: state for state in answer.orders}
    assert len(shown) == len(answer.orders)
    assert [key for key in shown if key in known] == [key for key in known if key in shown]
    for key, state in shown.items():
        service, own = heard.get(key.service), stored.get(key)
        if isinstance(service, ProviderAnswer):
            is_actual = True
        else:
            goes_on = own is not None and own.reported and not own.finished
            is_actual = isinstance(service, NotAsked) and goes_on
        assert state.update_status == ("actual" if is_actual else "stale")
    for service_name, service in heard.items():
        of_service = [state for state in answer.orders if state.key.service == service_name]
        if isinstance(service, ProviderAnswer):
            assert {state.key.orderid for state in of_service} == {one.orderid for one in service.orders}
            assert {state.status for state in of_service} <= {"told"}
        else:
            under_way = {
                one.key for one in recorded if one.key.service == service_name and one.reported and not one.finished
            }
            own_keys = {key for key in known if key.service == service_name}
            # What is stored takes the place of what a service does not tell.
            assert {state.key for state in of_service} == own_keys | (set() if service == NotAsked() else under_way)
            stale = any(state.update_status == "stale" for state in of_service)
            assert not stale or service_name in answer.next_tags
        if isinstance(service, NotAsked):
            news = any(
                one.reported and not one.finished and one.key not in known
                for one in recorded
                if one.key.service == service_name
            )
            ended = any(
                one.reported and one.finished and one.key in known
                for one in recorded
                if one.key.service == service_name
            )
            assert (answer.next_tags.get(service_name) is NewTag.ASK_NOW) == (news or ended)


def the_limit_is_held_against_all_orders_that_are_under_way(
    answer: Answer,
    known: dict[OrderKey, KnownOrder],
    recorded: list[RecordedOrder],
    heard: Mapping[str, Heard],
    limit: int,
) -> None:
    """What was reported counts though the app does not name it, and what has ended does not though it does."""
    for changes in answer.allowed_changes:
        service = heard[changes.service]
        reported = {one.key: one.finished for one in recorded if one.reported and one.key.service == changes.service}
        under_way = {key for key, finished in reported.items() if not finished}
        under_way |= {key for key in known if key.service == changes.service and key not in reported}
        if isinstance(service, ProviderAnswer):
            if service.can_make_more_orders is not None:
                assert changes.can_make_more_orders == service.can_make_more_orders
                continue
            under_way = {OrderKey(changes.service, one.orderid) for one in service.orders}
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
            if part not in self.parts or sequence > self.parts[part].sequence:
                self.parts[part] = PartVersion(version, sequence)

    @property
    def order(self) -> RecordedOrder | None:
        return RecordedOrder(OrderKey("taxi", "x"), True, False, self.finish_sequence, dict(self.parts))


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
    """A part's version is the number of the change that made it, so that older and newer can be told."""
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
        told = None
        if kind == "asking poll":
            told = ActiveOrder("x", "told", states[sequence], sequence, None)
        versions = current_versions(told, stored.order, ())
        for part, version in versions.items():
            assert int(version) >= seen.get(part, 0)
            seen[part] = int(version)
        assert seen.keys() == versions.keys()
        if told is not None and is_news(told, stored.order):
            stored.take(told.parts, told.sequence)
            stored.finish_sequence = max(stored.finish_sequence, told.sequence)


@settings(max_examples=60)
@given(
    versions=st.dictionaries(st.text(min_size=1, max_size=3), VERSIONS, max_size=40),
    tags=st.dictionaries(st.text(min_size=1, max_size=3), VERSIONS, max_size=20),
)
def test_an_app_is_never_given_more_tags_than_it_may_send(versions: dict[str, str], tags: dict[str, str]) -> None:
    key = OrderKey("taxi", "x")
    recorded = RecordedOrder(key, True, False, 0, {part: PartVersion(one, 1) for part, one in versions.items()})
    app = KnownOrder(key, "", tags, force=False, details=None)
    asked_nobody: Mapping[str, Heard] = {"taxi": NotAsked()}
    deciding = decide_answer({key: app}, [recorded], asked_nobody, policy=POLICY, limits={})
    (state,) = asyncio.run(deciding).orders
    assert len(state.tags) <= MOST_PARTS
    assert set(state.need_request) <= state.tags.keys()
    fetched = replace(app, tags=state.tags)
    deciding = decide_answer({key: fetched}, [recorded], asked_nobody, policy=POLICY, limits={})
    (again,) = asyncio.run(deciding).orders
    assert not again.need_request
