"""Answers riders' personal states from two back ends, while the new one takes over from the old."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from ridehail_clients import ComparedKind
from ridehail_kernel import call_context
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_kernel.json_values import JsonObject
from ridehail_servers.chassis.errors import DependencyUnavailable

from .config import PersonalStateConfig
from .outcome import Answered, Outcome, may_fall_back
from .question import Question
from .route import Route, choose_route

# Of what is left of the call's time: the rest is for the old back end.
_NEW_SHARE = 0.5


class BackEnd(Protocol):
    """Keeps personal states."""

    @property
    def name(self) -> str:
        """As callers know the service."""

    async def ask(self, question: Question, *, timeout: float, mock: bool = False) -> Outcome:
        """Passes a question on.

        Args:
            question: The rider's.
            timeout: The longest that it may take, in seconds.
            mock: Whether a write is undone in the end.
        """


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two back ends answered to one request.

    Attributes:
        request_id: As logs name it.
        kind: Of the request.
        old: The old back end's answer.
        new: The new back end's answer.
    """

    request_id: str
    kind: ComparedKind
    old: Answered
    new: Answered


@dataclass(frozen=True, slots=True)
class RiderExperiments:
    """Returns by uid who takes part.

    Attributes:
        reads: In the experiment with reads.
        writes: In the experiment with writes.
    """

    reads: Callable[[str], bool]
    writes: Callable[[str], bool]


class Report(Protocol):
    """Counts what became of requests."""

    def __call__(self, kind: ComparedKind, route: Route, answered_by: str) -> None:
        """Counts one; `answered_by` is `old`, `new` or `nobody`."""


class PersonalStates:
    """Sends riders' requests where the roll-out has got to.

    Args:
        config: Returns the present configuration.
        experiments: Who takes part.
        old: The back end that is taken over from.
        new: The back end that takes over.
        compare: Takes a pair of answers for comparison, and returns at once.
        report: Counts what became of requests.
    """

    def __init__(
        self,
        config: Callable[[], PersonalStateConfig],
        *,
        experiments: RiderExperiments,
        old: BackEnd,
        new: BackEnd,
        compare: Callable[[Comparison], None],
        report: Report,
    ) -> None:
        self._config = config
        self._experiments = experiments
        self._old = old
        self._new = new
        self._compare = compare
        self._report = report

    async def answer(self, question: Question) -> JsonObject:
        """Returns the rider's state, after the change if the question has one, as JSON.

        Args:
            question: The rider's.

        Raises:
            DomainError: The back end that answers refuses the request.
            DependencyUnavailable: No back end that may answer does. What became of a write is not known.
        """
        config = self._config()
        route = choose_route(
            question.kind,
            config.mode,
            reads=lambda: self._experiments.reads(question.yandex_uid),
            writes=lambda: self._experiments.writes(question.yandex_uid),
        )
        by, outcome = await self._outcome(question, route, config)
        if not isinstance(outcome, Answered):
            self._report(question.kind, route, "nobody")
            raise DependencyUnavailable(by.name)
        self._report(question.kind, route, "old" if by is self._old else "new")
        if outcome.error is not None:
            raise outcome.error
        return outcome.body

    async def _outcome(self, question: Question, route: Route, config: PersonalStateConfig) -> tuple[BackEnd, Outcome]:
        """Returns what counts, and of which back end."""
        if route is Route.OLD:
            return self._old, await self._ask_old(question, config)
        # One after the other: what is written to the old back end is copied to the new one, which, asked at the same
        # time, would sometimes see it changed already and answer a conflict.
        new = await self._new.ask(
            question, timeout=share_of_remaining(_NEW_SHARE, at_most=config.new_timeout_s), mock=route is Route.COMPARE
        )
        if route is Route.COMPARE:
            old = await self._ask_old(question, config)
            if isinstance(old, Answered) and isinstance(new, Answered):
                self._compare(Comparison(call_context.request_id() or "none", question.kind, old, new))
            return self._old, old
        if may_fall_back(question.kind, new):
            return self._old, await self._ask_old(question, config)
        return self._new, new

    def _ask_old(self, question: Question, config: PersonalStateConfig) -> Awaitable[Outcome]:
        return self._old.ask(question, timeout=config.old_timeout_s)
