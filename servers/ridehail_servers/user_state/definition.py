"""Wires user_state."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from ridehail.userstate.v1 import user_state_api_pb2, user_state_api_pb2_grpc
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.service_definition import Contract, RunningService, ServiceContext, ServiceDefinition
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .config import UserStateConfig
from .demo import load_demo

_CONFIG = "user_state.yaml"
_HASH_KEY_BYTES = 32


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    from ridehail_servers.chassis.user_data_service import UserDataServicer
    from ridehail_servers.personal_state_backend.copies import StateCopies

    from .comparison_store import ComparisonStore
    from .comparisons import Comparisons
    from .retention_store import RetentionStore
    from .service import UserStateServicer
    from .store import StateStore
    from .stored_states import StoredStates
    from .tasks import DeleteOldStates
    from .user_data_store import UserStateUserData

    assert context.storage is not None
    config: LiveConfig[UserStateConfig] = context.configs[_CONFIG]
    database = context.storage.database
    comparisons = Comparisons(
        database,
        ComparisonStore(),
        config=lambda: config.value,
        clock=context.clock,
        hash_key=secrets.token_bytes(_HASH_KEY_BYTES),
    )
    states = StoredStates(database, StateStore(), context.clock)
    copies = StateCopies(database, StateStore(), context.clock)
    user_data = UserDataServicer(database, UserStateUserData())
    purge = DeleteOldStates(database, RetentionStore(), lambda: config.value, context.clock)
    yield RunningService(servicers=(UserStateServicer(states, copies, comparisons), user_data), tasks=(purge.task,))


DEFINITION = ServiceDefinition(
    name="user-state",
    schema="user_state",
    configs={_CONFIG: UserStateConfig},
    contracts=(
        Contract(
            user_state_api_pb2.DESCRIPTOR.services_by_name["UserStateService"],
            user_state_api_pb2_grpc.add_UserStateServiceServicer_to_server,
        ),
        USER_DATA,
    ),
    build=build,
    has_tasks=True,
    demo=load_demo,
)
