"""api_proxy with scripted dependencies, and what launch makes of their responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.json_format import ParseDict
from google.rpc import error_details_pb2, status_pb2
from prometheus_client import REGISTRY

from ridehail.eulas.v1 import eulas_api_pb2
from ridehail.orderprovider.v1 import order_provider_api_pb2 as provider_api
from ridehail.orderstate.v1 import order_state_api_pb2 as state_api
from tests.api_proxy.launch.scripted_orders import ScriptedOrders
from tests.api_proxy.proxy import EVER_MS, Proxy, configure, flag, write_flags
from tests.api_proxy.scripted_eulas import Behaviour, ScriptedEulas, saying

STAGES = ("stage1", "stage2")
SUPPORTED = ["taxi", "eats"]
KNOWN: dict[str, Any] = {
    "orderid": "order",
    "service": "taxi",
    "status": "driving",
    "tags": {"fast_info": "1", "own": "1"},
    "details": {"price": 100},
    "card": {"colour": "red"},
}
BODY: dict[str, Any] = {"supported_services": SUPPORTED, "known_orders": [KNOWN]}
TOLD = {
    "orderid": "order",
    "service": "taxi",
    "status": "transporting",
    "tags": {"fast_info": "2"},
    "need_request": ["fast_info"],
    "update_status": "actual",
}
NEW = TOLD | {"orderid": "new", "service": "eats", "details": {"dish": "soup"}}
CHANGES = [
    {"service": "taxi", "can_make_more_orders": True},
    {"service": "eats", "can_make_more_orders": False, "no_more_orders_reason": "closed"},
]
POLICY = [
    {
        "service": "taxi",
        "part_name": "fast_info",
        "url": "/fast",
        "fields": ["a"],
        "polling_type": "tag_defined",
        "part_type": "totw",
        "priority": 2,
        "required": True,
    }
]
STATE = {"orders": [TOLD, NEW], "allowed_changes": CHANGES, "tags": {"eats": "opaque"}, "polling_policy": POLICY}
ACTIVE = {"orderid": "order", "status": "transporting", "parts": {"fast_info": "2"}, "sequence": "7"}
LISTED = {"orders": [ACTIVE]}
FAILURES = "ridehail_api_proxy_launch_failures"
WITHOUT = "ridehail_api_proxy_launches_without_order_state"


def no_such_service() -> list[tuple[str, str | bytes]]:
    """Returns the trailing metadata of SERVICE_NOT_FOUND."""
    status = status_pb2.Status(code=5)
    info = error_details_pb2.ErrorInfo(reason="SERVICE_NOT_FOUND", domain="ridehail", metadata={"service": "eats"})
    status.details.add().Pack(info)
    return [("grpc-status-details-bin", status.SerializeToString())]


def telling(state: Mapping[str, Any]) -> Behaviour:
    """GetOrdersState with this answer."""
    return saying(ParseDict(dict(state), state_api.GetOrdersStateResponse()).SerializeToString())


def listing(listed: Mapping[str, Any]) -> Behaviour:
    """ListActiveOrders and GetServiceOrdersState with this answer: the same bytes."""
    return saying(ParseDict(dict(listed), provider_api.ListActiveOrdersResponse()).SerializeToString())


def accepting(*eula_ids: str, status: str = "accepted") -> Behaviour:
    """ListEulas with these agreements."""
    eulas = [{"eula_id": eula_id, "status": status} for eula_id in eula_ids]
    return saying(ParseDict({"eulas": eulas}, eulas_api_pb2.ListEulasResponse()).SerializeToString())


@dataclass(frozen=True)
class Harness:
    """Scripted dependencies, and api_proxy beside them."""

    orders: ScriptedOrders
    eulas: ScriptedEulas
    proxy: Proxy

    def configured(
        self,
        *,
        stage: str = "stage1",
        fallback: bool = False,
        providers_ms: int = EVER_MS,
        order_state_ms: int = EVER_MS,
        eulas_ms: int = EVER_MS,
        enabled: bool = True,
    ) -> Proxy:
        """Configures api_proxy; the rider `chosen` is always in the experiment."""
        targeting = {"if": [{"==": [{"var": "targetingKey"}, "chosen"]}, "on"]}
        experiment = flag(default="on" if fallback else "off", targeting=targeting)
        timeouts = {"provider_timeout_ms": providers_ms, "order_state_timeout_ms": order_state_ms}
        launch = {"orders_state": stage, **timeouts}
        configure(self.proxy.config_dir, {}, enabled=enabled, timeout_ms=eulas_ms, launch=launch)
        write_flags(self.proxy.config_dir, launch_orders_state_fallback=experiment)
        self.proxy.controls.reload()
        return self.proxy


def counted(name: str) -> dict[tuple[str, ...], float]:
    """Returns a counter by the values of its labels."""
    return {
        tuple(sample.labels.values()): sample.value
        for metric in REGISTRY.collect()
        if metric.name == name
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def added(before: Mapping[tuple[str, ...], float], name: str) -> dict[tuple[str, ...], float]:
    """Returns what a counter counted since."""
    now = counted(name)
    return {labels: value - before.get(labels, 0) for labels, value in now.items() if value != before.get(labels, 0)}


def deep(levels: int) -> dict[str, Any]:
    return {"a": deep(levels - 1)} if levels > 1 else {}
