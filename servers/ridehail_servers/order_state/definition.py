"""Wires order_state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ridehail.orderstate.v1 import order_state_api_pb2, order_state_api_pb2_grpc
from ridehail_servers.chassis.keys import read_secrets
from ridehail_servers.chassis.live_config import LiveConfig
from ridehail_servers.chassis.service_definition import (
    Contract,
    KeyNeed,
    RunningService,
    ServiceContext,
    ServiceDefinition,
)
from ridehail_servers.chassis.user_data_contract import USER_DATA

from .config import OrderStateConfig
from .demo import load_demo
from .orders import PROVIDERS

_CONFIG = "order_state.yaml"
_SERVICES = order_state_api_pb2.DESCRIPTOR.services_by_name


@asynccontextmanager
async def build(context: ServiceContext) -> AsyncIterator[RunningService]:
    """Makes the service for one process."""
    from ridehail_servers.chassis.user_data_service import UserDataServicer

    from .dependencies import OrderProviders
    from .invalid_part_records import InvalidPartRecords
    from .invalid_part_store import InvalidPartStore
    from .order_records import OrderRecords
    from .poll_tokens import KEYS_FILE, PollTokens
    from .polling import Polling
    from .service import OrderStateServicer, PassengerOrderStateServicer
    from .store import OrderStateStore
    from .tasks import DeleteOldInvalidParts, DeleteOldOrders
    from .user_data_store import OrderStateUserData

    assert context.storage is not None
    database, store = context.storage.database, OrderStateStore()
    live: LiveConfig[OrderStateConfig] = context.configs[_CONFIG]

    def config() -> OrderStateConfig:
        return live.value

    records = OrderRecords(database, store, context.clock)
    invalid_parts = InvalidPartStore()
    polling = Polling(
        records,
        OrderProviders(context.channels, ticket=context.tickets, timeout=lambda: config().provider_timeout_ms / 1_000),
        PollTokens(read_secrets(context.keys_dir / KEYS_FILE)),
        config=config,
        clock=context.clock,
    )
    yield RunningService(
        servicers=(
            PassengerOrderStateServicer(polling, InvalidPartRecords(database, invalid_parts, config, context.clock)),
            OrderStateServicer(polling, records, config),
            UserDataServicer(database, OrderStateUserData()),
        ),
        tasks=(
            DeleteOldOrders(database, store, config, context.clock).task,
            DeleteOldInvalidParts(database, invalid_parts, config, context.clock).task,
        ),
    )


def _check_secrets(keys_dir: Path) -> None:
    from .poll_tokens import KEYS_FILE

    read_secrets(keys_dir / KEYS_FILE)


DEFINITION = ServiceDefinition(
    name="order-state",
    schema="order_state",
    configs={_CONFIG: OrderStateConfig},
    dependencies=tuple(PROVIDERS.values()),
    contracts=(
        Contract(
            _SERVICES["PassengerOrderStateService"],
            order_state_api_pb2_grpc.add_PassengerOrderStateServiceServicer_to_server,
        ),
        Contract(_SERVICES["OrderStateService"], order_state_api_pb2_grpc.add_OrderStateServiceServicer_to_server),
        USER_DATA,
    ),
    build=build,
    keys=(KeyNeed("order-state-tags.key", _check_secrets, "signs what apps poll with"),),
    has_tasks=True,
    demo=load_demo,
)
