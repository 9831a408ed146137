"""How many riders a core bears, by what calls cost: computed from `bench/capacity.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

_FIGURES = Path(__file__).with_name("capacity.yaml")
_MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class CallCost:
    """A kind of calls.

    Attributes:
        schema: Which Postgres it costs.
        a_second: Calls of one rider with an order under way.
        server_us: Microseconds of processor time a call, of all services ...
        postgres_us: ... and of Postgres.
        is_read: Whether a replica could answer it.
    """

    schema: str
    a_second: float
    server_us: float
    postgres_us: float
    is_read: bool


@dataclass(frozen=True)
class Capacity:
    """What cores bear; riders are those with an order under way."""

    utilization: float
    postgres_cores: int
    replicas: int
    calls: Mapping[str, CallCost]

    @cached_property
    def riders_per_server_core(self) -> float:
        return self._riders(sum(it.a_second * it.server_us for it in self.calls.values()))

    @cached_property
    def riders_per_postgres_core(self) -> float:
        return self._riders(sum(it.a_second * it.postgres_us for it in self.calls.values()))

    @cached_property
    def riders_per_core_of_schema(self) -> Mapping[str, float]:
        """Riders whose calls keep one core of a schema's own Postgres busy, the busiest schema first."""
        busy: dict[str, float] = {}
        for call in self.calls.values():
            busy[call.schema] = busy.get(call.schema, 0) + call.a_second * call.postgres_us
        return {schema: self._riders(us) for schema, us in sorted(busy.items(), key=lambda entry: -entry[1])}

    @cached_property
    def riders_per_core_with_replicas(self) -> Mapping[str, float]:
        """The same, of the primary, when it and its replicas share the reads."""
        busy: dict[str, float] = {}
        for call in self.calls.values():
            share = 1 / (1 + self.replicas) if call.is_read else 1
            busy[call.schema] = busy.get(call.schema, 0) + call.a_second * call.postgres_us * share
        return {schema: self._riders(us) for schema, us in busy.items()}

    def _riders(self, us_a_second: float) -> float:
        return self.utilization * _MICROSECONDS / us_a_second


def stated() -> Capacity:
    """Returns what follows from the figures as they are stated."""
    figures = yaml.safe_load(_FIGURES.read_text())
    ride_s = figures["ride_minutes"] * 60
    return Capacity(
        figures["utilization"],
        figures["postgres_cores"],
        figures["replicas"],
        {
            name: CallCost(
                call["schema"],
                1 / call["every_s"] if "every_s" in call else call["a_ride"] / ride_s,
                call["server_us"],
                call["postgres_us"],
                call.get("is_read", False),
            )
            for name, call in figures["calls"].items()
        },
    )
