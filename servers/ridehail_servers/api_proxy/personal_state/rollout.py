"""Sends riders' requests to one of two back ends or to both, while the new one takes over from the old."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ridehail_kernel import call_context
from ridehail_kernel.deadline_budget import share_of_remaining
from ridehail_kernel.json_values import JsonObject
from ridehail_servers.chassis.errors import DependencyUnavailable

from .call_result import BackEndResponse, CallResult, Comparison, may_fall_back
from .config import PersonalStateConfig
from .dependencies import BackEnd
from .metrics import count_request
from .rider_request import RiderRequest
from .route import Route, choose_route

# Of what is left of the call's time: the rest is for the old back end.
_NEW_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class RiderExperiments:
    """Return by uid who takes part: in the experiment with reads, and in the one with writes."""

    reads: Callable[[str], bool]
    writes: Callable[[str], bool]


class Rollout:
    """Sends riders' requests where the roll-out has got to.

    Args:
        config: Returns the present configuration.
        experiments: Who takes part.
        old: The back end that is taken over from.
        new: The back end that takes over.
        compare: Takes a pair of responses for comparison, and returns at once.
    """

    def __init__(
        self,
        config: Callable[[], PersonalStateConfig],
        *,
        experiments: RiderExperiments,
        old: BackEnd,
        new: BackEnd,
        compare: Callable[[Comparison], None],
    ) -> None:
        self._config = config
        self._experiments = experiments
        self._old = old
        self._new = new
        self._compare = compare

    async def perform(self, request: RiderRequest) -> JsonObject:
        """Returns the rider's state, after the change if the request has one, as JSON.

        Raises:
            DomainError: The back end whose response counts refuses the request.
            DependencyUnavailable: No back end that may respond does. What became of a write is not known.
        """
        config = self._config()
        route = choose_route(
            request.kind,
            config.mode,
            reads=lambda: self._experiments.reads(request.yandex_uid),
            writes=lambda: self._experiments.writes(request.yandex_uid),
        )
        back_end, result = await self._call(request, route, config)
        if not isinstance(result, BackEndResponse):
            count_request(request.kind, route, "nobody")
            raise DependencyUnavailable(back_end.name)
        count_request(request.kind, route, "old" if back_end is self._old else "new")
        if result.error is not None:
            raise result.error
        return result.body

    async def _call(
        self, request: RiderRequest, route: Route, config: PersonalStateConfig
    ) -> tuple[BackEnd, CallResult]:
        """Returns the result that counts, and of which back end it is."""
        if route is Route.OLD:
            return self._old, await self._old.call(request, timeout=config.old_timeout_s)
        # One after the other: what is written to the old back end is copied to the new one, which, called at the same
        # time, would sometimes see it changed already and respond with a conflict.
        new_timeout_s = share_of_remaining(_NEW_SHARE, at_most=config.new_timeout_s)
        new = await self._new.call(request, timeout=new_timeout_s, mock=route is Route.COMPARE)
        if route is Route.NEW and not may_fall_back(request.kind, new):
            return self._new, new
        old = await self._old.call(request, timeout=config.old_timeout_s)
        if route is Route.COMPARE and isinstance(old, BackEndResponse) and isinstance(new, BackEndResponse):
            self._compare(Comparison(call_context.request_id() or "none", request.kind, old, new))
        return self._old, old
