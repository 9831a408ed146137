"""The demo's commands for users' data."""

from __future__ import annotations

from collections.abc import Sequence

from ridehail_servers.chassis.service_definition import Demo, Example

_RIDER = "4000000001"


async def load_demo(demo: Demo) -> Sequence[Example]:
    """Stores nothing: the rider of the other demos has data in every service."""
    return (
        Example(
            "all that the services keep of the rider, as files",
            f"{demo.command} user-data export --uid {_RIDER} --requested-by demo --out rider-data --address"
            f" user-data={demo.grpc_address}{demo.data_dir_option}",
        ),
    )
