"""PollTokens: what an app sends back is trusted only as far as it is proven."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ridehail_servers.order_state.config import OrderStateConfig
from ridehail_servers.order_state.orders import ActiveOrder, ActiveOrders, KnownOrder, RecordedOrder, RecordedOrders
from ridehail_servers.order_state.orders_state import OrdersState
from ridehail_servers.order_state.poll_tokens import PollTokens, TokenKind
from ridehail_servers.order_state.polling import Polling

T0 = datetime(2026, 11, 20, 12, tzinfo=UTC)


@dataclass
class Backends:
    """What is stored, and what providers return, in place of Postgres and of servers."""

    reported: bool
    responds: bool
    queried: int = 0

    async def of_rider(self, yandex_uid: str) -> RecordedOrders:
        return {"taxi": {"x": RecordedOrder(True, False, 0, {})}} if self.reported else {}

    async def record_listed(self, service: str, yandex_uid: str, orders: Sequence[ActiveOrder]) -> None:
        pass

    async def active_orders(self, service: str, yandex_uid: str) -> ActiveOrders | None:
        self.queried += 1
        return ActiveOrders([ActiveOrder("x", "listed", {}, 0, None)]) if self.responds else None


TOKENS = PollTokens(["a" * 32, "b" * 32])
GOOD = TOKENS.issue(TokenKind.JUST_QUERIED, "uid", "taxi", T0)


def tampered(token: str) -> st.SearchStrategy[str]:
    """Returns tokens that differ from a good one: by a character, by length, by order."""
    places = st.integers(0, len(token) - 1)
    characters = st.characters(codec="utf-8", exclude_categories=["Cs"])
    replaced = st.builds(lambda at, new: token[:at] + new + token[at + 1 :], places, characters)
    cut = places.map(lambda at: token[:at])
    longer = st.builds(lambda more: token + more, st.text(min_size=1, max_size=5))
    turned = places.map(lambda at: token[at:] + token[:at])
    return st.one_of(replaced, cut, longer, turned).filter(lambda one: one != token)


FOREIGN = [
    TOKENS.issue(TokenKind.JUST_QUERIED, "another", "taxi", T0),
    TOKENS.issue(TokenKind.JUST_QUERIED, "uid", "eats", T0),
    TOKENS.issue(TokenKind.JUST_QUERIED, "uid", "taxi", T0 + timedelta(seconds=1)),
    TOKENS.issue(TokenKind.JUST_QUERIED, "uid", "taxi", T0 - timedelta(days=1)),
    TOKENS.issue(TokenKind.QUERY_NOW, "uid", "taxi", T0),
    PollTokens(["c" * 32]).issue(TokenKind.JUST_QUERIED, "uid", "taxi", T0),
    "",
]


def poll(backends: Backends, token: str) -> OrdersState:
    polling = Polling(backends, backends, TOKENS, config=OrderStateConfig, clock=lambda: T0)
    app = KnownOrder("taxi", "x", "app's", {}, force=False, details=None)
    return asyncio.run(polling.poll("uid", [app], {"taxi": token}))


@settings(max_examples=60)
@given(
    token=st.one_of(st.text(max_size=60), tampered(GOOD), st.sampled_from(FOREIGN)),
    reported=st.booleans(),
    responds=st.booleans(),
)
@example(token=GOOD[:-1], reported=True, responds=False)
def test_a_token_that_cannot_be_trusted_makes_nothing_actual_and_raises_nothing(
    token: str, reported: bool, responds: bool
) -> None:
    backends = Backends(reported, responds)
    state = poll(backends, token)
    (order,) = state.orders
    assert backends.queried == 1
    assert order.update_status == ("actual" if responds else "stale")
    assert list(state.poll_tokens) == ([] if responds else ["taxi"])


def test_a_good_token_keeps_the_provider_from_being_queried() -> None:
    backends = Backends(reported=True, responds=True)
    state = poll(backends, GOOD)
    assert (backends.queried, state.poll_tokens, state.orders[0].update_status) == (0, {"taxi": GOOD}, "stale")


@settings(max_examples=60)
@given(
    uid=st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=20),
    service=st.sampled_from(["taxi", "eats"]),
    age_ms=st.integers(-10_000, 10_000_000),
    ttl_s=st.integers(1, 86_400),
)
def test_a_token_says_when_the_provider_was_queried_until_it_expires(
    uid: str, service: str, age_ms: int, ttl_s: int
) -> None:
    now = T0 + timedelta(milliseconds=age_ms)
    token = TOKENS.issue(TokenKind.JUST_QUERIED, uid, service, T0)
    queried_at = TOKENS.queried_at(token, uid, service, now=now, ttl=timedelta(seconds=ttl_s))
    assert queried_at == (T0 if 0 <= age_ms <= ttl_s * 1_000 else None)
    urgent = TOKENS.issue(TokenKind.QUERY_NOW, uid, service, T0)
    assert TOKENS.queried_at(urgent, uid, service, now=now, ttl=timedelta(seconds=ttl_s)) is None


def test_any_of_the_secrets_verifies_and_the_last_one_signs() -> None:
    old, new = PollTokens(["a" * 32]), PollTokens(["b" * 32])
    for maker, readers in ((old, [TOKENS]), (TOKENS, [new, TOKENS])):
        token = maker.issue(TokenKind.JUST_QUERIED, "uid", "taxi", T0)
        for reader in readers:
            assert reader.queried_at(token, "uid", "taxi", now=T0, ttl=timedelta(1)) == T0
    token = TOKENS.issue(TokenKind.JUST_QUERIED, "uid", "taxi", T0)
    assert old.queried_at(token, "uid", "taxi", now=T0, ttl=timedelta(1)) is None


def test_a_token_says_nothing_about_its_rider_and_fits_into_a_request() -> None:
    token = TOKENS.issue(TokenKind.JUST_QUERIED, "x" * 128, "taxi", T0)
    assert "xxx" not in token
    assert len(token) < 100
