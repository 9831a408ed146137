"""The rules, for any history: nothing that changed is missed, nothing is fetched twice, no version goes back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ridehail_servers.order_state.answer import decide_answer
from ridehail_servers.order_state.config import OrderStateConfig
from ridehail_servers.order_state.orders import (
    ActiveOrder,
    KnownOrder,
    OrderKey,
    PartVersion,
    ProviderAnswer,
    RecordedOrder,
)
from ridehail_servers.order_state.part_versions import MOST_PARTS, current_versions, is_news
from ridehail_servers.order_state.polling import Answered, Polling
from ridehail_servers.order_state.polling_policy import PartPolicy, PollingPolicy
from ridehail_servers.order_state.service_orders import Heard, NewTag, NoAnswer, NotAsked, TooEarly
from ridehail_servers.order_state.tag import Tags

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


@settings(max_examples=400, deadline=None)
@given(known=known_orders(SERVICES), recorded=RECORDED, heard=st.fixed_dictionaries(dict.fromkeys(SERVICES, HEARD)))
def test_an_app_is_told_to_fetch_what_it_lacks_and_nothing_else(
    known: dict[OrderKey, KnownOrder], recorded: list[RecordedOrder], heard: Mapping[str, Heard]
) -> None:
    answer = decide_answer(known, recorded, heard, policy=POLICY, limits={"taxi": 2})
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


@settings(max_examples=400, deadline=None)
@given(known=known_orders(SERVICES), recorded=RECORDED, heard=st.fixed_dictionaries(dict.fromkeys(SERVICES, HEARD)))
def test_an_order_is_actual_if_its_service_told_of_it_and_what_is_not_can_be_asked_for(
    known: dict[OrderKey, KnownOrder], recorded: list[RecordedOrder], heard: Mapping[str, Heard]
) -> None:
    answer = decide_answer(known, recorded, heard, policy=POLICY, limits={})
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


@settings(max_examples=400, deadline=None)
@given(
    known=known_orders(SERVICES),
    recorded=RECORDED,
    heard=st.fixed_dictionaries(dict.fromkeys(SERVICES, HEARD)),
    limit=st.integers(0, 4),
)
def test_without_a_services_own_word_the_limit_is_held_against_all_orders_that_are_under_way(
    known: dict[OrderKey, KnownOrder], recorded: list[RecordedOrder], heard: Mapping[str, Heard], limit: int
) -> None:
    """What was reported counts though the app does not name it, and what has ended does not though it does."""
    answer = decide_answer(known, recorded, heard, policy=POLICY, limits=dict.fromkeys(SERVICES, limit))
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


@settings(max_examples=400, deadline=None)
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


@settings(deadline=None)
@given(
    versions=st.dictionaries(st.text(min_size=1, max_size=3), VERSIONS, max_size=40),
    tags=st.dictionaries(st.text(min_size=1, max_size=3), VERSIONS, max_size=20),
)
def test_an_app_is_never_given_more_tags_than_it_may_send(versions: dict[str, str], tags: dict[str, str]) -> None:
    key = OrderKey("taxi", "x")
    recorded = RecordedOrder(key, True, False, 0, {part: PartVersion(one, 1) for part, one in versions.items()})
    app = KnownOrder(key, "", tags, force=False, details=None)
    answer = decide_answer({key: app}, [recorded], {"taxi": NotAsked()}, policy=POLICY, limits={})
    (state,) = answer.orders
    assert len(state.tags) <= MOST_PARTS
    assert set(state.need_request) <= state.tags.keys()
    (again,) = decide_answer(
        {key: replace(app, tags=state.tags)}, [recorded], {"taxi": NotAsked()}, policy=POLICY, limits={}
    ).orders
    assert not again.need_request


# --- tags


@dataclass
class Known:
    """What is stored, and what services answer, in place of Postgres and of servers."""

    reported: bool
    answers: bool
    asked: int = 0

    async def of_rider(self, yandex_uid: str) -> Sequence[RecordedOrder]:
        return [RecordedOrder(OrderKey("taxi", "x"), True, False, 0)] if self.reported else []

    async def record(self, service: str, yandex_uid: str, orders: Sequence[ActiveOrder]) -> None:
        pass

    async def ask(self, service: str, yandex_uid: str) -> ProviderAnswer | None:
        self.asked += 1
        return ProviderAnswer([ActiveOrder("x", "told", {}, 0, None)]) if self.answers else None


TAG_MAKER = Tags(["a" * 32, "b" * 32])
GOOD = TAG_MAKER.just_asked("uid", "taxi", T0)


def tampered(tag: str) -> st.SearchStrategy[str]:
    """Returns tags that differ from a good one: by a character, by length, by order."""
    places = st.integers(0, len(tag) - 1)
    characters = st.characters(codec="utf-8", exclude_categories=["Cs"])
    replaced = st.builds(lambda at, new: tag[:at] + new + tag[at + 1 :], places, characters)
    cut = places.map(lambda at: tag[:at])
    longer = st.builds(lambda more: tag + more, st.text(min_size=1, max_size=5))
    turned = places.map(lambda at: tag[at:] + tag[:at])
    return st.one_of(replaced, cut, longer, turned).filter(lambda one: one != tag)


FOREIGN = [
    TAG_MAKER.just_asked("another", "taxi", T0),
    TAG_MAKER.just_asked("uid", "eats", T0),
    TAG_MAKER.just_asked("uid", "taxi", T0 + timedelta(seconds=1)),
    TAG_MAKER.just_asked("uid", "taxi", T0 - timedelta(days=1)),
    TAG_MAKER.ask_now("uid", "taxi", T0),
    Tags(["c" * 32]).just_asked("uid", "taxi", T0),
    "",
]


def poll(world: Known, tag: str) -> Answered:
    polling = Polling(world, world, TAG_MAKER, config=OrderStateConfig, clock=lambda: T0)
    app = KnownOrder(OrderKey("taxi", "x"), "app's", {}, force=False, details=None)
    return asyncio.run(polling.poll("uid", [app], {"taxi": tag}))


@settings(max_examples=150, deadline=None)
@given(
    tag=st.one_of(st.text(max_size=60), tampered(GOOD), st.sampled_from(FOREIGN)),
    reported=st.booleans(),
    answers=st.booleans(),
)
@example(tag=GOOD[:-1], reported=True, answers=False)
def test_a_tag_that_cannot_be_trusted_makes_nothing_actual_and_raises_nothing(
    tag: str, reported: bool, answers: bool
) -> None:
    world = Known(reported, answers)
    answered = poll(world, tag)
    (state,) = answered.answer.orders
    assert world.asked == 1
    assert state.update_status == ("actual" if answers else "stale")
    assert list(answered.tags) == ([] if answers else ["taxi"])


def test_a_good_tag_keeps_the_service_from_being_asked() -> None:
    world = Known(reported=True, answers=True)
    answered = poll(world, GOOD)
    assert (world.asked, answered.tags, answered.answer.orders[0].update_status) == (0, {"taxi": GOOD}, "stale")


@settings(deadline=None)
@given(
    uid=st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20),
    service=st.sampled_from(["taxi", "eats"]),
    age_ms=st.integers(-10_000, 10_000_000),
    ttl_s=st.integers(1, 86_400),
)
def test_a_tag_tells_when_the_service_was_asked_until_it_expires(
    uid: str, service: str, age_ms: int, ttl_s: int
) -> None:
    now = T0 + timedelta(milliseconds=age_ms)
    tag = TAG_MAKER.just_asked(uid, service, T0)
    asked_at = TAG_MAKER.asked_at(tag, uid, service, now=now, ttl=timedelta(seconds=ttl_s))
    assert asked_at == (T0 if 0 <= age_ms <= ttl_s * 1_000 else None)
    urgent = TAG_MAKER.ask_now(uid, service, T0)
    assert TAG_MAKER.asked_at(urgent, uid, service, now=now, ttl=timedelta(seconds=ttl_s)) is None


def test_any_of_the_secrets_verifies_and_the_last_one_signs() -> None:
    old, new = Tags(["a" * 32]), Tags(["b" * 32])
    for maker, readers in ((old, [TAG_MAKER]), (TAG_MAKER, [new, TAG_MAKER])):
        tag = maker.just_asked("uid", "taxi", T0)
        for reader in readers:
            assert reader.asked_at(tag, "uid", "taxi", now=T0, ttl=timedelta(1)) == T0
    tag = TAG_MAKER.just_asked("uid", "taxi", T0)
    assert old.asked_at(tag, "uid", "taxi", now=T0, ttl=timedelta(1)) is None


def test_a_tag_tells_nothing_about_its_rider_and_fits_into_a_request() -> None:
    tag = TAG_MAKER.just_asked("x" * 128, "taxi", T0)
    assert "xxx" not in tag
    assert len(tag) < 100
