"""Simulates when the polls of many apps arrive, by the same functions that the server and the client library use."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ridehail_clients import PollingPauses, PollingSchedule
from ridehail_servers.order_state.polling_schedule import next_poll_ms

INTERVAL_S: Final = 10
# As `Overloaded` states it to whoever is refused.
RETRY_AFTER_S: Final = 0.2

_LONGEST_S: Final = 300
_TICK_S: Final = 0.01
_TICKS_A_SECOND: Final = 100
_NOON_MS: Final = 1_795_953_600_000


class Rule(Protocol):
    """Decides how long an app pauses, in seconds; `drawn` is from 0 to 1."""

    def after_response(self, rider: int, now_s: float, drawn: float) -> float:
        """Returns the pause after a poll that succeeded."""

    def after_failure(self, failures: int, drawn: float) -> float:
        """Returns the pause after a poll that failed, the last of so many in a row."""


class OwnPace:
    """Apps that pace themselves: 10 s, twice as much with each failure, all of it give or take a fifth."""

    def after_response(self, rider: int, now_s: float, drawn: float) -> float:
        del rider, now_s
        return INTERVAL_S * (0.8 + 0.4 * drawn)

    def after_failure(self, failures: int, drawn: float) -> float:
        return max(min(INTERVAL_S * 2.0**failures, _LONGEST_S) * (0.8 + 0.4 * drawn), RETRY_AFTER_S)


class Slots:
    """Apps that keep to the slots of the server, and draw their pauses after failures."""

    def __init__(self) -> None:
        self._pauses = PollingPauses()

    def after_response(self, rider: int, now_s: float, drawn: float) -> float:
        wait_ms = next_poll_ms(str(4_000_000_000 + rider), _NOON_MS + int(now_s * 1_000), INTERVAL_S * 1_000)
        schedule = PollingSchedule(INTERVAL_S * 1_000, wait_ms, _LONGEST_S * 1_000)
        return self._pauses.after(0, requested=None, drawn=drawn, schedule=schedule)

    def after_failure(self, failures: int, drawn: float) -> float:
        schedule = PollingSchedule(INTERVAL_S * 1_000, None, _LONGEST_S * 1_000)
        return self._pauses.after(failures, requested=RETRY_AFTER_S, drawn=drawn, schedule=schedule)


@dataclass(frozen=True)
class Scenario:
    """What happens to the apps.

    Attributes:
        capacity: How many times the usual rate of polls the servers take; they refuse the others.
        first_poll_s: Returns when an app polls first, for a number from 0 to 1.
        back_s: Until then every poll fails; what is counted begins then.
        watched_s: For so long it is counted.
    """

    name: str
    capacity: float
    first_poll_s: Callable[[float], float]
    back_s: int
    watched_s: int


SCENARIOS: Final = (
    Scenario("all poll in one second, and are served", 20, lambda drawn: drawn, back_s=0, watched_s=120),
    Scenario("all poll in one second, and most are refused", 1.5, lambda drawn: drawn, back_s=0, watched_s=120),
    Scenario("the servers are away for 30 s", 1.5, lambda drawn: INTERVAL_S * drawn, back_s=30, watched_s=120),
    Scenario("the servers are away for 5 min", 1.5, lambda drawn: INTERVAL_S * drawn, back_s=300, watched_s=420),
)


@dataclass(frozen=True)
class Arrivals:
    """Polls by the second, from the return on, and how many of them were refused; of so many apps."""

    apps: int
    polls: Sequence[int]
    refused: int

    @property
    def rate(self) -> float:
        """The usual rate: every app once an interval."""
        return self.apps / INTERVAL_S

    def peak_of_mean(self, first: int = 1) -> float:
        """Returns the busiest second from some second on, by the usual rate."""
        return max(self.polls[first:]) / self.rate

    def calm_after_s(self, share: float = 0.15) -> int:
        """Returns after how many seconds no second differs from the usual rate by more than a share."""
        calm = [abs(number / self.rate - 1) <= share for number in self.polls]
        return max((second + 1 for second, is_calm in enumerate(calm) if not is_calm), default=0)


def simulate(scenario: Scenario, rule: Rule, *, apps: int, seed: int = 1) -> Arrivals:
    """Returns the polls that arrive.

    Args:
        scenario: What happens.
        rule: How apps pause.
        apps: How many.
        seed: Of what is drawn.
    """
    draw = random.Random(seed).random
    seconds = scenario.back_s + scenario.watched_s
    due: list[list[int]] = [[] for _ in range(seconds * _TICKS_A_SECOND)]
    failures = [0] * apps
    for app in range(apps):
        due[int(scenario.first_poll_s(draw()) / _TICK_S)].append(app)
    room_a_tick = scenario.capacity * apps / INTERVAL_S * _TICK_S
    polls, refused = [0] * seconds, 0
    for tick, polling in enumerate(due):
        now_s, is_away = tick * _TICK_S, tick < scenario.back_s * _TICKS_A_SECOND
        polls[tick // _TICKS_A_SECOND] += len(polling)
        for number, app in enumerate(polling):
            if is_away or number >= room_a_tick:
                refused += not is_away
                failures[app] += 1
                pause_s = rule.after_failure(failures[app], draw())
            else:
                failures[app] = 0
                pause_s = rule.after_response(app, now_s, draw())
            if (later := tick + max(1, round(pause_s / _TICK_S))) < len(due):
                due[later].append(app)
        polling.clear()
    return Arrivals(apps, polls[scenario.back_s :], refused)
