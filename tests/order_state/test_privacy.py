"""Nothing of a rider's is in logs and metrics, whatever goes well or wrong."""

from __future__ import annotations

import grpc
import pytest
from prometheus_client import REGISTRY, generate_latest

from ridehail_clients import ServiceError
from ridehail_kernel.json_values import to_struct
from tests.order_state.harness import Harness, Rider, known
from tests.order_state.provider_server import order
from tests.support.log_capture import captured_logs

UID, ORDER, STATUS, DETAIL = "uidcanary400", "ordercanary77", "statuscanary", "detailcanary"
PART, VERSION, TAG = "partcanary", "versioncanary", "tagcanary"


async def everything(harness: Harness, rider: Rider) -> None:
    taxi = harness.providers["taxi"]
    app = known(ORDER, status=STATUS, tags={PART: VERSION}, details=to_struct({DETAIL: DETAIL}))
    tags = {"taxi": TAG, UID: TAG}
    taxi.no_more_orders_reason = DETAIL
    parts = {PART: VERSION}
    listed = order(ORDER, STATUS, sequence=1, details={DETAIL: DETAIL})
    listed.parts.update(parts)
    for orders, failure in (
        ([], None),
        ([listed], None),
        ([listed, listed], None),
        ([listed], grpc.StatusCode.UNAVAILABLE),
        ([listed], grpc.StatusCode.INVALID_ARGUMENT),
    ):
        taxi.orders[rider.uid], taxi.failure = orders, failure
        await rider.poll(app, tags=tags)
        await rider.start(app)
    odd = order(ORDER)
    odd.details.CopyFrom(to_struct({DETAIL: 1}))
    odd.details.fields[DETAIL].number_value = float("nan")
    taxi.orders[rider.uid], taxi.failure = [odd], None
    await rider.poll(app, tags=tags)
    await rider.report(ORDER, 1)
    for call in (rider.poll(app, app), harness.rider("other").report(ORDER, 2), rider.report(f"{ORDER}\n", 1)):
        with pytest.raises(ServiceError):
            await call


async def test_nothing_of_a_riders_is_logged_or_measured(harness: Harness) -> None:
    rider = harness.rider(UID)
    with captured_logs(level="DEBUG") as log:
        await everything(harness, rider)
        # What is stored cannot be stored ...
        await harness.suite.execute(
            f"ALTER TABLE order_state.orders ADD CONSTRAINT never CHECK (orderid <> '{ORDER}') NOT VALID"
        )
        harness.providers["taxi"].orders[UID] = [order(ORDER, sequence=9)]
        await rider.poll(tags={"taxi": ""})
        with pytest.raises(ServiceError):
            await rider.report(ORDER, 10)
        await harness.suite.execute("ALTER TABLE order_state.orders DROP CONSTRAINT never")
    assert log.events("provider query failed")
    assert log.events("listed orders not recorded")
    assert log.events("unexpected error")
    metrics = generate_latest(REGISTRY).decode()
    assert 'ridehail_order_state_provider_failures_total{provider="taxi",reason="UNREADABLE"}' in metrics
    for planted in (UID, ORDER, STATUS, DETAIL, PART, VERSION, TAG):
        assert planted not in log.text
        assert planted not in metrics
