"""Who may report orders of which service."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from ridehail_servers.order_state.config import OrderStateConfig
from ridehail_servers.order_state.errors import ServiceNotOwned
from ridehail_servers.order_state.orders import PROVIDERS
from ridehail_servers.order_state.reporters import ForeignReports, check_reporter


def counted(outcome: str, caller: str, provider: str) -> float:
    labels = {"outcome": outcome, "caller": caller, "provider": provider}
    return REGISTRY.get_sample_value("ridehail_order_state_foreign_reports_total", labels) or 0.0


def test_a_service_reports_its_own_orders_and_those_that_it_was_given() -> None:
    reporters = {"processing": {"taxi", "eats"}}
    allowed = {(server, service) for service, server in PROVIDERS.items()} | {
        ("processing", "taxi"),
        ("processing", "eats"),
    }
    for caller in (*PROVIDERS.values(), "processing", "admin"):
        for service in (*PROVIDERS, "laundry"):
            if (caller, service) in allowed:
                check_reporter(caller, service, reporters, ForeignReports.REFUSE)
            else:
                with pytest.raises(ServiceNotOwned):
                    check_reporter(caller, service, reporters, ForeignReports.REFUSE)


def test_a_configuration_from_before_goes_on_taking_foreign_reports_and_counts_them() -> None:
    config = OrderStateConfig()
    before = counted("count", "eats-orders", "taxi"), counted("count", "eats-orders", "other")
    check_reporter("eats-orders", "taxi", config.reporters, config.foreign_reports)
    check_reporter("eats-orders", "laundry", config.reporters, config.foreign_reports)
    check_reporter("eats-orders", "eats", config.reporters, config.foreign_reports)
    after = counted("count", "eats-orders", "taxi"), counted("count", "eats-orders", "other")
    assert [now - then for now, then in zip(after, before, strict=True)] == [1, 1]
    assert counted("count", "eats-orders", "eats") == 0


def test_refused_reports_are_counted_too() -> None:
    before = counted("refuse", "eats-orders", "grocery")
    with pytest.raises(ServiceNotOwned) as refused:
        check_reporter("eats-orders", "grocery", {}, ForeignReports.REFUSE)
    assert refused.value.metadata == {"caller": "eats-orders", "service": "grocery"}
    assert counted("refuse", "eats-orders", "grocery") - before == 1
