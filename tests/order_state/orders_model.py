"""What order_state must do for one rider, written a second time and as simply as can be, to measure the real thing by.

Nothing here is shared with the servers. All that was ever received is kept, and looked through at every request. A
timestamp is a number of seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Key = tuple[str, str]
AppOrder = dict[str, object]


@dataclass
class Received:
    """A report of an order, or its entry in a list."""

    sequence: int
    parts: dict[str, str]
    finished: bool | None
    is_report: bool


@dataclass
class Expected:
    """What an app must receive: of each order service, id, status, tags, parts to request, trust; and poll tokens."""

    orders: list[tuple[object, ...]] = field(default_factory=list)
    tags: dict[str, object] = field(default_factory=dict)
    allowed: dict[str, str | bool] = field(default_factory=dict)
    queried: list[str] = field(default_factory=list)


@dataclass
class Model:
    """Everything there is.

    Attributes:
        services: In the order of responses.
        limits: How many orders a rider may have.
        policy: Parts of a service by priority.
        retry: Seconds between queries.
        ttl: Seconds for which a poll token counts.
        lists: Service -> what it lists now: order -> status, sequence, parts; None: it is unavailable.
        now: The present time.
        received: All that was received of each order.
    """

    services: list[str]
    limits: dict[str, int]
    policy: dict[str, list[str]]
    retry: int
    ttl: int
    lists: dict[str, dict[str, tuple[str, int, dict[str, str]]] | None]
    now: int = 0
    received: dict[Key, list[Received]] = field(default_factory=dict)

    def report(self, key: Key, sequence: int, parts: dict[str, str], finished: bool | None) -> bool:
        before = (self.newest(key), self.end(key), self.is_reported(key))
        self.received.setdefault(key, []).append(Received(sequence, parts, finished, is_report=True))
        return before != (self.newest(key), self.end(key), self.is_reported(key))

    def newest(self, key: Key) -> dict[str, tuple[int, str]]:
        """Returns the number and the version of each part; of equal numbers the one received first."""
        found: dict[str, tuple[int, str]] = {}
        for one in sorted(self.received.get(key, []), key=lambda one: one.sequence, reverse=True):
            for part, version in one.parts.items():
                found.setdefault(part, (one.sequence, version))
        return found

    def end(self, key: Key) -> tuple[int, bool]:
        """Returns whether the order has ended, and the number of the change that said so; of equal ones the first."""
        words = [(one.sequence, one.finished) for one in self.received.get(key, []) if one.finished is not None]
        return max(words, key=lambda word: word[0], default=(0, False))

    def is_reported(self, key: Key) -> bool:
        return any(one.is_report for one in self.received.get(key, []))

    def goes_on(self, key: Key) -> bool:
        return self.is_reported(key) and not self.end(key)[1]

    def poll(self, app: dict[Key, AppOrder], tags: dict[str, object]) -> Expected:
        """Returns what an app must receive; a poll token is the time of the last query, or `now` for anything else."""
        expected = Expected()
        states: dict[Key, tuple[object, ...]] = {}
        for service in self.services:
            listed = self.lists[service]
            queried_at = tags.get(service, "now")
            is_young = isinstance(queried_at, int) and self.now - queried_at < min(self.retry, self.ttl + 1)
            known = [key for key in app if key[0] == service]
            if service not in tags:
                self._as_reported(service, app, known, states, expected)
            elif is_young:
                expected.tags[service] = "same"
                self._as_stored(service, app, known, states)
            else:
                expected.queried.append(service)
                if listed is None:
                    expected.tags[service] = self.now
                    self._as_stored(service, app, known, states)
                else:
                    self._as_listed(service, listed, app, states, expected)
        untouched: dict[Key, tuple[object, ...]] = {
            key: (*key, one["status"], one["tags"], [], "stale")
            for key, one in app.items()
            if key[0] not in self.services
        }
        states.update(untouched)
        expected.orders = [states[key] for key in app if key in states]
        expected.orders += [state for key, state in states.items() if key not in app]
        for service in self.services:
            number = sum(key[0] == service for key in states)
            if service not in expected.queried or self.lists[service] is None:
                ended = {key for key in self.received if self.is_reported(key) and self.end(key)[1]}
                counted = {*app, *(key for key in self.received if self.goes_on(key))} - ended
                number = sum(key[0] == service for key in counted)
            is_full = number >= self.limits.get(service, 1_000)
            expected.allowed[service] = "too_many_orders" if is_full else True
        return expected

    def _as_stored(
        self, service: str, app: dict[Key, AppOrder], known: list[Key], states: dict[Key, tuple[object, ...]]
    ) -> None:
        stored = sorted(key for key in self.received if key[0] == service and self.goes_on(key))
        states.update({key: self._state(key, app, None, "stale") for key in dict.fromkeys([*known, *stored])})

    def _as_reported(
        self,
        service: str,
        app: dict[Key, AppOrder],
        known: list[Key],
        states: dict[Key, tuple[object, ...]],
        expected: Expected,
    ) -> None:
        for key in known:
            goes_on = self.is_reported(key) and not self.end(key)[1]
            states[key] = self._state(key, app, None, "actual" if goes_on else "stale")
            if not self.is_reported(key):
                expected.tags.setdefault(service, self.now)
            elif not goes_on:
                expected.tags[service] = "now"
        for key in self.received:
            if key[0] == service and key not in app and self.is_reported(key) and not self.end(key)[1]:
                expected.tags[service] = "now"

    def _as_listed(
        self,
        service: str,
        listed: dict[str, tuple[str, int, dict[str, str]]],
        app: dict[Key, AppOrder],
        states: dict[Key, tuple[object, ...]],
        expected: Expected,
    ) -> None:
        for key in self.received:
            if key[0] == service and self.is_reported(key):
                sequence, has_ended = self.end(key)
                is_listed = key[1] in listed
                if (has_ended and is_listed and sequence >= listed[key[1]][1]) or (not has_ended and not is_listed):
                    expected.tags[service] = self.now
        for orderid, (_status, sequence, parts) in listed.items():
            key = (service, orderid)
            states[key] = self._state(key, app, listed[orderid], "actual")
            if sequence:
                self.received.setdefault(key, []).append(Received(sequence, parts, False, is_report=False))

    def _state(
        self, key: Key, app: dict[Key, AppOrder], listed: tuple[str, int, dict[str, str]] | None, trust: str
    ) -> tuple[object, ...]:
        mine: AppOrder = app.get(key, {"status": "", "tags": {}, "force": False})
        own: dict[str, str] = dict(mine["tags"])  # type: ignore[call-overload]
        newest = self.newest(key)
        versions = {part: version for part, (_sequence, version) in newest.items()}
        status = mine["status"]
        if listed is not None:
            status, sequence, parts = listed
            versions.update(
                (part, version)
                for part, version in parts.items()
                if part not in newest or sequence == 0 or sequence > newest[part][0]
            )
        first = self.policy.get(key[0], [])
        if mine["force"]:
            wanted = {*versions, *own, *first}
        else:
            wanted = {part for part in versions if own.get(part) != versions[part]}
        ordered = [part for part in first if part in wanted] + sorted(wanted - set(first))
        return (*key, status, {**own, **versions}, ordered, trust)
