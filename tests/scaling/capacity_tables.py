"""The tables of docs/scaling.md that are computed from `bench/capacity.yaml`."""

from __future__ import annotations

from bench.capacity import Capacity, stated
from tests.scaling.markdown import table

_MORE_THAN_THERE_ARE = 200_000_000
_RIDERS = (100_000, 1_000_000, 10_000_000)


def capacity_blocks() -> dict[str, str]:
    capacity = stated()
    return {"calls": _calls(capacity), "cores": _cores(capacity), "splits": _splits(capacity)}


def _calls(capacity: Capacity) -> str:
    return table(
        ("call", "schema", "calls/s of 1000 riders", "servers us a call", "Postgres us a call"),
        [
            (name, it.schema, f"{it.a_second * 1000:.3g}", it.server_us, it.postgres_us)
            for name, it in capacity.calls.items()
        ],
    )


def _cores(capacity: Capacity) -> str:
    rows = [("a core bears", f"{capacity.riders_per_server_core:,.0f}", f"{capacity.riders_per_postgres_core:,.0f}")]
    rows += [
        (
            f"cores for {riders:,}",
            f"{riders / capacity.riders_per_server_core:,.0f}",
            f"{riders / capacity.riders_per_postgres_core:,.0f}",
        )
        for riders in _RIDERS
    ]
    return table(("riders with an order under way", "servers", "Postgres"), rows)


def _splits(capacity: Capacity) -> str:
    cores = capacity.postgres_cores
    rows = [("all in one Postgres", f"{_millions(cores * capacity.riders_per_postgres_core)}", "")]
    rows += [
        (schema, _millions(cores * riders), _millions(cores * capacity.riders_per_core_with_replicas[schema]))
        for schema, riders in capacity.riders_per_core_of_schema.items()
    ]
    return table(
        (
            f"one Postgres of {cores} cores",
            "ends at riders with an order under way",
            f"with {capacity.replicas} replicas for reads",
        ),
        rows,
    )


def _millions(riders: float) -> str:
    return f"{riders / 1e6:,.1f} million" if riders < _MORE_THAN_THERE_ARE else "never"
