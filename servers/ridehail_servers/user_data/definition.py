"""Wires user_data."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.userdata.v1 import user_data_api_pb2, user_data_api_pb2_grpc
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition

from .config import UserDataConfig
from .demo import load_demo

_CONFIG = "user_data.yaml"


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from .dependencies import DataServices
    from .erasures import Erasures
    from .exports import Exports
    from .jobs import Jobs
    from .service import UserDataJobsServicer
    from .store import JobStore
    from .tasks import RunJobs

    assert context.storage is not None
    config: LiveConfig[UserDataConfig] = context.configs[_CONFIG]
    services = DataServices(context.channels, ticket=context.tickets)
    jobs = Jobs(context.storage.database, JobStore(), services, context.clock, new_id=lambda: uuid.uuid4().hex)
    erasures, exports = Erasures(jobs, lambda: config.value), Exports(jobs)
    yield RunningService(
        servicers=(UserDataJobsServicer(jobs, erasures, exports),),
        tasks=(RunJobs(jobs, erasures, exports, lambda: config.value).task,),
    )


DEFINITION = ServiceDefinition(
    name="user-data",
    schema="user_data",
    configs={_CONFIG: UserDataConfig},
    # All that keep users' data.
    dependencies=(
        "eats-orders",
        "eulas",
        "family",
        "grocery-orders",
        "order-core",
        "order-state",
        "protocol",
        "route-sharing",
        "toll-roads",
        "user-state",
    ),
    contracts=(
        Contract(
            user_data_api_pb2.DESCRIPTOR.services_by_name["UserDataJobsService"],
            user_data_api_pb2_grpc.add_UserDataJobsServiceServicer_to_server,
        ),
    ),
    build=build,
    has_tasks=True,
    demo=load_demo,
)
