"""Tags: what an app sends back is trusted only as far as it is proven."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ridehail_servers.order_state.config import OrderStateConfig
from ridehail_servers.order_state.orders import (
    ActiveOrder,
    KnownOrder,
    OrderKey,
    ProviderAnswer,
    RecordedOrder,
)
from ridehail_servers.order_state.polling import Answered, Polling
from ridehail_servers.order_state.tag import Tags

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)


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


def poll(harness: Known, tag: str) -> Answered:
    polling = Polling(harness, harness, TAG_MAKER, config=OrderStateConfig, clock=lambda: T0)
    app = KnownOrder(OrderKey("taxi", "x"), "app's", {}, force=False, details=None)
    return asyncio.run(polling.poll("uid", [app], {"taxi": tag}))


@settings(max_examples=60)
@given(
    tag=st.one_of(st.text(max_size=60), tampered(GOOD), st.sampled_from(FOREIGN)),
    reported=st.booleans(),
    answers=st.booleans(),
)
@example(tag=GOOD[:-1], reported=True, answers=False)
def test_a_tag_that_cannot_be_trusted_makes_nothing_actual_and_raises_nothing(
    tag: str, reported: bool, answers: bool
) -> None:
    harness = Known(reported, answers)
    answered = poll(harness, tag)
    (state,) = answered.answer.orders
    assert harness.asked == 1
    assert state.update_status == ("actual" if answers else "stale")
    assert list(answered.tags) == ([] if answers else ["taxi"])


def test_a_good_tag_keeps_the_service_from_being_asked() -> None:
    harness = Known(reported=True, answers=True)
    answered = poll(harness, GOOD)
    assert (harness.asked, answered.tags, answered.answer.orders[0].update_status) == (0, {"taxi": GOOD}, "stale")


@settings(max_examples=60)
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
