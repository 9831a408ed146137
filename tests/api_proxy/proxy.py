"""A running api_proxy, its configuration, and riders' calls."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
import yaml
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message
from prometheus_client import REGISTRY

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_servers import resources
from ridehail_servers.api_proxy.definition import DEFINITION as API_PROXY
from tests.support.calls import call
from tests.support.service_controls import ServiceControls, controlled
from tests.support.suite_in_process import SuiteInProcess, suite_in_process

ROUTESTATS = "/ridehail.apiproxy.v1.RoutestatsService/GetRouteStats"
LAUNCH = "/ridehail.apiproxy.v1.LaunchService/Launch"
ZONE_INFO = "/ridehail.apiproxy.v1.ZoneInfoService/GetZoneInfo"
REQUIREMENTS = "ROUTESTATS_EULA_REQUIREMENTS_FOR_CATEGORIES_IN_ZONE"
ZONE = "tel_aviv"
# Longer than the call itself may take: for what is not to be too late on any machine.
EVER_MS = 10_000
# What the configuration of the card of a ride has to have, in a form that is never in the way.
CARD: dict[str, dict[str, Any]] = {
    "TAXI_ON_THE_WAY": {
        "order_core_timeout_ms": 1000,
        "route_sharing_timeout_ms": 1000,
        "inapp_timeout_ms": 300,
        "toll_roads_timeout_ms": 100,
    },
    "INAPP_TOTW_STORIES_CACHE_CONTROL": {"default": {"ttl_s": 30}},
}
# Nobody listens there.
NOWHERE = "127.0.0.1:9"
PERSONALSTATE: dict[str, Any] = {
    "mode": "compare",
    "new_timeout_ms": 300,
    "old_timeout_ms": 2000,
    "compare_queue": 1000,
    "compare_workers": 4,
}


def requires(eula_type: str, *statuses: str, required: bool = True) -> dict[str, Any]:
    """Returns a requirement, as the file has it."""
    return {"eula_type": eula_type, "is_eula_required": required, "eula_statuses": list(statuses)}


def configure(
    folder: Path,
    tariffs: Mapping[str, object],
    *,
    enabled: object = True,
    timeout_ms: object = EVER_MS,
    retries: object = 0,
    experiment: bool = True,
    launch: Mapping[str, object] = MappingProxyType({"orders_state": "stage1"}),
) -> None:
    """Writes api_proxy's configuration and the experiment."""
    content = {
        "launch": dict(launch),
        "EULAS_SERVICE_ENABLED": enabled,
        "EULAS_TIMEOUT_MS": timeout_ms,
        "EULAS_RETRIES": retries,
        REQUIREMENTS: {ZONE: dict(tariffs)},
        **CARD,
        "personalstate": PERSONALSTATE,
    }
    (folder / "api_proxy.yaml").write_text(yaml.safe_dump(content))
    set_experiment(folder, default="on" if experiment else "off")


def set_experiment(folder: Path, **definition: object) -> None:
    """Writes the experiment of the tariff filter; `default` is its default variant, the rest as flagd has it."""
    write_flags(folder, plugin_eulas=flag(**definition))


def flag(**definition: object) -> dict[str, object]:
    """Returns an experiment as the file has it; `default` is its default variant, the rest as flagd has it."""
    return {
        "state": "ENABLED",
        "variants": {"on": True, "off": False},
        "defaultVariant": definition.pop("default", "off"),
        **definition,
    }


def write_flags(folder: Path, **flags: Mapping[str, object]) -> None:
    """Writes experiments by name."""
    (folder / "flags.json").write_text(json.dumps({"flags": flags}))


@cache
def _shipped() -> Mapping[str, str]:
    """Returns the shipped files by name, with timeouts that no machine meets by accident."""
    folder = resources.folder("config")
    content = yaml.safe_load((folder / "api_proxy.yaml").read_text())
    content["EULAS_TIMEOUT_MS"] = EVER_MS
    content["launch"] |= {"provider_timeout_ms": EVER_MS, "order_state_timeout_ms": EVER_MS}
    others = {name: (folder / name).read_text() for name in ("order_state.yaml", "flags.json")}
    return {"api_proxy.yaml": yaml.safe_dump(content), **others}


def failures() -> dict[str, float]:
    """Returns the metric of eulas' failures by reason."""
    return {
        sample.labels["reason"]: sample.value
        for metric in REGISTRY.collect()
        if metric.name == "ridehail_api_proxy_eulas_failures"
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def json_form(message: Message) -> dict[str, Any]:
    """Returns a message in JSON, as the gateway prints it."""
    form: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return form


@contextmanager
def nobody() -> Iterator[str]:
    """An address that refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def mute() -> Iterator[str]:
    """An address that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(16)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@dataclass(frozen=True)
class Answered:
    """What a rider got, and how long it took at least."""

    shown: list[str]
    hidden: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class Proxy:
    """A running api_proxy, a channel to it, and its configuration."""

    suite: SuiteInProcess
    channel: grpc.aio.Channel
    controls: ServiceControls

    @property
    def config_dir(self) -> Path:
        """Where its configuration is."""
        return self.controls.config_dir

    def restore(self) -> None:
        """Goes back to the configuration as it is shipped, with timeouts that no machine meets by accident."""
        for name, text in _shipped().items():
            (self.config_dir / name).write_text(text)
        self.controls.reload()
        self.controls.close_breakers()

    def configure(self, tariffs: Mapping[str, object], **settings: Any) -> None:  # those of the function
        """Changes the configuration and the experiment at once; see `configure`."""
        configure(self.config_dir, tariffs, **settings)
        self.controls.reload()

    def set_experiment(self, **definition: object) -> None:
        """Changes the experiment of the tariff filter at once; see `set_experiment`."""
        set_experiment(self.config_dir, **definition)
        self.controls.reload()

    def metadata(self, uid: str = "uid", **headers: str) -> tuple[tuple[str, str], ...]:
        """Returns what the gateway sends along with a rider's call."""
        others = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return (*self.suite.metadata("gateway", "api-proxy", uid), *others)

    async def route_stats(
        self, *tariffs: str, zone: str = ZONE, uid: str = "uid", timeout: float | None = None
    ) -> Answered:
        """Asks which of the tariffs a rider is shown."""
        request = api.GetRouteStatsRequest(zone_name=zone, tariffs=tariffs)
        started = asyncio.get_running_loop().time()
        encoded = await call(self.channel, ROUTESTATS, request, metadata=self.metadata(uid), timeout=timeout)
        seconds = asyncio.get_running_loop().time() - started
        response = api.GetRouteStatsResponse.FromString(encoded)
        return Answered(list(response.tariffs), {one.tariff: one.reason for one in response.hidden}, seconds)

    async def need_acceptance(
        self, zone: str = ZONE, *, uid: str = "uid", timeout: float | None = None, **headers: str
    ) -> list[dict[str, object]] | None:
        """Returns the agreements that a rider has yet to answer, or None if the field is absent."""
        request = api.GetZoneInfoRequest(zone_name=zone)
        encoded = await call(self.channel, ZONE_INFO, request, metadata=self.metadata(uid, **headers), timeout=timeout)
        response = api.GetZoneInfoResponse.FromString(encoded)
        if not response.HasField("need_acceptance"):
            return None
        listed: list[dict[str, object]] = MessageToDict(response)["needAcceptance"]
        return listed

    async def launch(
        self,
        body: Mapping[str, object] = MappingProxyType({}),
        *,
        uid: str = "uid",
        timeout: float | None = None,
        **headers: str,
    ) -> dict[str, Any]:
        """Calls Launch; request and response are JSON, as at the gateway."""
        request = ParseDict(dict(body), api.LaunchRequest())
        metadata = self.metadata(uid, **headers)
        response = api.LaunchResponse.FromString(
            await call(self.channel, LAUNCH, request, metadata=metadata, timeout=timeout)
        )
        return json_form(response)


@asynccontextmanager
async def serving(
    *,
    keys_dir: Path,
    config_dir: Path,
    eulas: str = NOWHERE,
    dependencies: Mapping[str, str] = MappingProxyType({}),
    watched: bool = False,
) -> AsyncIterator[Proxy]:
    """Serves api_proxy alone for the length of the block.

    Args:
        keys_dir: Key rings.
        config_dir: Configuration.
        eulas: Where eulas is.
        dependencies: Addresses of others by their names; nowhere if missing.
        watched: True: edits of the configuration are noticed as in production. False: the controls alone reload it.
    """
    addresses = {**dict.fromkeys(API_PROXY.dependencies, NOWHERE), **dependencies, "eulas": eulas}
    definition, controls = controlled(API_PROXY, config_dir)
    running = suite_in_process(
        database_url="",
        keys_dir=keys_dir,
        config_dir=config_dir,
        services=[API_PROXY if watched else definition],
        addresses=addresses,
    )
    async with running as served, served.channel() as channel:
        yield Proxy(served, channel, controls)
