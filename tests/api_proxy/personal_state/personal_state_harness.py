"""api_proxy before both real back ends of personal states, with a proxy before each."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from google.protobuf.json_format import MessageToDict
from prometheus_client import REGISTRY

from ridehail.apiproxy.v1 import api_proxy_api_pb2 as api
from ridehail_clients import (
    AsyncProtocolClient,
    AsyncUserStateClient,
    PersonalStateCopy,
    ServiceError,
)
from ridehail_servers.api_proxy.definition import DEFINITION as API_PROXY
from tests.api_proxy.proxy import NOWHERE
from tests.support.calls import call
from tests.support.config_edits import edit
from tests.support.fault_proxy import Call, FaultProxy, fault_proxy
from tests.support.service_controls import ServiceControls, controlled
from tests.support.suite_in_process import SuiteInProcess, suite_in_process

PERSONAL_STATE = "/ridehail.apiproxy.v1.PersonalStateService/PersonalState"
READS, WRITES = "userstate-personalstate-enabled", "userstate-personalstate-write-enabled"
READ, WRITE, COMPARE = "GetPersonalState", "UpdatePersonalState", "CompareJsons"
PROBE = "probe"
"""The request id of calls that only find out what is the case."""
_SERVICES = ("api-proxy", "protocol", "user-state", "passenger-authorizer")
_EVERYBODY_WITH = {"if": [{"starts_with": [{"var": "targetingKey"}, "in-"]}, "on", "off"]}


def set_experiments(folder: Path, reads: object = _EVERYBODY_WITH, writes: object = _EVERYBODY_WITH) -> None:
    """Writes both experiments; by default riders whose uid begins with `in-` take part in both."""
    flags = {
        name: {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": targeting,
        }
        for name, targeting in ((READS, reads), (WRITES, writes))
    }
    (folder / "flags.json").write_text(json.dumps({"flags": flags}))


def configure(folder: Path, **personalstate: object) -> None:
    """Edits api_proxy's configuration of personal states."""
    edit(folder / "api_proxy.yaml", {"personalstate": personalstate})


def counted(metric: str, **labels: str) -> float:
    """Returns a metric's present value; 0 if there is none yet."""
    return REGISTRY.get_sample_value(f"ridehail_personalstate_{metric}", labels) or 0


@dataclass(frozen=True)
class Got:
    """What a rider got: a state, or an error."""

    state: Mapping[str, object] | None = None
    error: ServiceError | None = None

    @property
    def by(self) -> object:
        """Who answered, where each back end was given another tariff."""
        assert self.error is None, self.error
        assert self.state is not None
        return self.state["selected_category"]


@dataclass
class StateHarness:
    """What a test talks to.

    Attributes:
        suite: Serves all three.
        channel: To api_proxy.
        old: Before protocol.
        new: Before user_state.
        controls: Of api_proxy, unless it watches the files.
        log: Every call of the two.
    """

    suite: SuiteInProcess
    channel: grpc.aio.Channel
    old: FaultProxy
    new: FaultProxy
    controls: ServiceControls
    log: list[Call] = field(default_factory=list)

    def configure(self, **personalstate: object) -> None:
        """Changes the configuration of personal states at once; see `configure`."""
        configure(self.controls.config_dir, **personalstate)
        self.controls.reload()

    def set_experiments(self, **targeting: object) -> None:
        """Changes both experiments at once; see `set_experiments`."""
        set_experiments(self.controls.config_dir, **targeting)
        self.controls.reload()

    async def empty(self) -> None:
        """Becomes as new: nothing is stored, nobody fails, and nothing was called."""
        await self.suite.empty_tables()
        self.controls.close_breakers()
        self.old.heal()
        self.new.heal()
        self.log.clear()

    async def send(
        self,
        uid: str,
        request: api.PersonalStateRequest | bytes = b"",
        *,
        request_id: str = "request",
        timeout: float | None = None,
    ) -> Got:
        """Makes a rider's call."""
        metadata = (*self.suite.metadata("gateway", "api-proxy", uid), ("x-request-id", request_id))
        try:
            encoded = await call(self.channel, PERSONAL_STATE, request, metadata=metadata, timeout=timeout)
        except ServiceError as error:
            return Got(error=error)
        response = api.PersonalStateResponse.FromString(encoded)
        return Got(MessageToDict(response, preserving_proto_field_name=True, always_print_fields_with_no_presence=True))

    async def read(self, uid: str, **options: object) -> Got:
        """Reads a rider's state."""
        return await self.send(uid, **options)  # type: ignore[arg-type]

    async def write(self, uid: str, revision_id: str = "1", **options: object) -> Got:
        """Sets a tariff's requirements, and leaves the chosen tariff."""
        request = api.PersonalStateRequest(revision_id=revision_id)
        request.tariffs.add(category="econom").requirements.update({"child_seat": 7})
        return await self.send(uid, request, **options)  # type: ignore[arg-type]

    def calls(self, request_id: str) -> list[Call]:
        """Returns the calls that were made for a request."""
        return [one for one in self.log if one.headers["x-request-id"] == request_id]

    def clients(self) -> tuple[AsyncProtocolClient, AsyncUserStateClient]:
        """Returns the administrator's clients of both back ends, past the proxies."""
        ticket = self.suite.ticket("admin")
        return (
            AsyncProtocolClient(self.suite.address, ticket=ticket),
            AsyncUserStateClient(self.suite.address, ticket=ticket),
        )

    async def give(self, *uids: str, revision: int = 1, old: str = "old", new: str = "new") -> None:
        """Gives riders a state in both back ends, with another chosen tariff in each."""
        protocol, user_state = self.clients()
        async with protocol, user_state:
            for category, take in ((old, protocol.import_personal_states), (new, user_state.import_personal_states)):
                states = [PersonalStateCopy(uid, str(revision), category, ()) for uid in uids]
                assert await take(states=states) == len(uids)

    async def revisions(self, uid: str) -> tuple[str, str]:
        """Returns the revisions of a rider's state in the old and in the new back end; "-" where there is none."""
        old = await self.suite.rows("SELECT document ->> 'revision' FROM protocol.users WHERE yandex_uid = %s", uid)
        new = await self.suite.rows("SELECT revision FROM user_state.personal_states WHERE yandex_uid = %s", uid)
        return str(old[0][0]) if old else "-", str(new[0][0]) if new else "-"

    async def is_routed(self, uid: str, *to: str) -> bool:
        """Tells whether a read of a rider goes to these, in this order."""
        before = len(self.log)
        await self.read(uid, request_id=PROBE)
        return [one.to for one in self.log[before:] if one.method == READ] == list(to)

    async def is_answered_by(self, uid: str, by: str) -> bool:
        """Returns whether this back end answers a read of a rider in the mode `new`; named as in the metric."""
        labels = {"kind": "read", "route": "new", "answered_by": by}
        before = counted("requests_total", **labels)
        await self.read(uid, request_id=PROBE)
        return counted("requests_total", **labels) > before


@asynccontextmanager
async def state_harness(
    *,
    database_url: str,
    keys_dir: Path,
    config_dir: Path,
    old_is_up: bool = True,
    new_is_up: bool = True,
    new_at: str = "",
    watched: bool = True,
) -> AsyncIterator[StateHarness]:
    """Serves for the length of the block.

    Args:
        database_url: Of all services.
        keys_dir: Key rings.
        config_dir: Configuration.
        old_is_up: Whether the old back end's address takes connections.
        new_is_up: Whether the new back end's does.
        new_at: The address of a new back end of the test's own; empty: that of the proxy.
        watched: True: api_proxy notices edits of its configuration. False: they take effect at once.
    """
    log: list[Call] = []
    running: list[SuiteInProcess] = []
    own, controls = controlled(API_PROXY, config_dir)

    def target() -> str:
        return running[0].address

    async with (
        fault_proxy(target, to="old", calls=log) as old,
        fault_proxy(target, to="new", calls=log) as new,
        suite_in_process(
            database_url=database_url,
            keys_dir=keys_dir,
            config_dir=config_dir,
            services=_SERVICES if watched else [own if one == own.name else one for one in _SERVICES],
            addresses={
                "eulas": NOWHERE,
                "protocol": old.address if old_is_up else NOWHERE,
                "user-state": new_at or (new.address if new_is_up else NOWHERE),
            },
        ) as suite,
        suite.channel() as channel,
    ):
        running.append(suite)
        yield StateHarness(suite, channel, old, new, controls, log)
