"""When apps poll, as the server says: evenly spread, whatever they did before."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from ridehail_servers.order_state.config import OrderStateConfig
from ridehail_servers.order_state.polling_schedule import next_poll_ms
from tests.order_state.harness import Harness, Rider, known

NOON = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()) * 1_000
HOUR = 3_600_000

instants = st.integers(0, 2**42)
intervals = st.integers(1, HOUR)


@given(st.text(max_size=128), instants, intervals)
def test_the_next_poll_is_half_to_one_and_a_half_intervals_away(uid: str, now_ms: int, interval_ms: int) -> None:
    assert interval_ms <= 2 * next_poll_ms(uid, now_ms, interval_ms) < 3 * interval_ms


@given(st.text(max_size=128), st.integers(0, 2**20), st.integers(1, HOUR // 10), st.data())
def test_who_polls_at_the_slot_polls_once_an_interval_and_who_does_not_is_there_with_the_next(
    uid: str, hour: int, interval_ms: int, data: st.DataObject
) -> None:
    now_ms = hour * HOUR + data.draw(st.integers(0, HOUR - 4 * interval_ms))
    slot = now_ms + next_poll_ms(uid, now_ms, interval_ms)
    assert next_poll_ms(uid, slot, interval_ms) == interval_ms
    late = slot + data.draw(st.integers(0, (interval_ms - 1) // 2))
    assert late + next_poll_ms(uid, late, interval_ms) == slot + interval_ms


def test_apps_that_poll_in_one_moment_are_spread_evenly_by_their_next_poll() -> None:
    """Of 200 000 riders with consecutive uids each tenth of the interval gets a tenth, as far as chance would allow."""
    riders, tenths = 200_000, 10
    slots = Counter(
        next_poll_ms(str(4_000_000_000 + number), NOON, 10_000) * tenths // 10_000 for number in range(riders)
    )
    assert sorted(slots) == list(range(5, 15))
    mean = riders / tenths
    # 27.9: one time in a thousand for nine degrees of freedom.
    assert sum((number - mean) ** 2 / mean for number in slots.values()) < 27.9


def test_a_slot_changes_with_the_hour_so_that_nobody_shares_it_with_the_same_riders_for_ever() -> None:
    def slot(uid: int, now_ms: int) -> int:
        return (now_ms + next_poll_ms(str(uid), now_ms, 10_000)) % 10_000

    together = [uid for uid in range(20_000) if slot(uid, NOON) // 100 == 7]
    later = Counter(slot(uid, NOON + HOUR) // 100 for uid in together)
    assert len(together) > 100
    assert max(later.values()) < len(together) / 4


async def test_polls_and_starts_say_when_the_app_polls_next(harness: Harness, rider: Rider) -> None:
    now_ms = int(harness.clock[0].timestamp() * 1_000)
    expected = (10_000, next_poll_ms(rider.uid, now_ms, 10_000), 60_000)
    for response in (await rider.poll(known("1")), await rider.start(known("1"))):
        schedule = response.polling_schedule
        assert (schedule.interval_ms, schedule.next_poll_ms, schedule.longest_pause_ms) == expected


def test_without_an_interval_apps_pace_themselves() -> None:
    assert OrderStateConfig().schedule("uid", datetime.now(UTC)) is None
