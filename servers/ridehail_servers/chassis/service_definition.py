"""Describes a service to the chassis, and what the chassis provides for it.

A service is a folder with a `definition.py` that holds one `ServiceDefinition`; `suite.py` lists them all.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ridehail_servers import resources

if TYPE_CHECKING:
    import grpc
    from google.protobuf.descriptor import ServiceDescriptor
    from pydantic import BaseModel

    from .cache import Cache
    from .clock import Clock
    from .database import Database
    from .experiments import Experiments
    from .live_config import LiveConfig
    from .tasks import Task, TaskQueue
    from .tickets import TicketIssuer


@dataclass(frozen=True, slots=True)
class Contract:
    """A gRPC service that a service of the suite serves.

    Attributes:
        register: The generated `add_..._to_server`.
        gateway_deadline: Set for a contract that is not ours and that only the gateway calls, with its own key instead
            of a ticket: seconds that a call may take. None if the contract itself states audience and deadlines.
    """

    descriptor: ServiceDescriptor
    register: Callable[[Any, Any], None]  # generated functions take any servicer, and what stands in for a server
    gateway_deadline: float | None = None


@dataclass(frozen=True, slots=True)
class RunningService:
    """What a service built: a servicer for each of its contracts, in their order, and its background tasks."""

    servicers: Sequence[object]
    tasks: Sequence[Task] = ()


@dataclass(frozen=True, slots=True)
class Storage:
    """A service's part of Postgres: the open pool, and the queue of its background tasks."""

    database: Database
    queue: TaskQueue


@dataclass(frozen=True, slots=True)
class ServiceContext:
    """What the chassis gives a service to build itself from.

    Attributes:
        storage: Present where the definition names a schema.
        configs: The live content of each configuration file that the definition names, by the file's name.
        channels: An open channel to each dependency that the definition names.
        keys_dir: Holds the key rings.
        archive_url: The URL of the folder for what the service archives, or None if it archives nothing.
        cache: Present where the definition says that it is needed.
    """

    storage: Storage | None
    configs: Mapping[str, LiveConfig[Any]]  # their models are the definition's
    experiments: Experiments
    clock: Clock
    channels: Mapping[str, grpc.aio.Channel]
    tickets: TicketIssuer
    keys_dir: Path
    archive_url: str | None = None
    cache: Cache | None = None


@dataclass(frozen=True, slots=True)
class KeyNeed:
    """Keys that a service needs besides everybody's public keys and, to call others, its own private one.

    Attributes:
        files: Their path in the key folder, as `order-state-tags.key`, or a pattern of several.
        check: Raises `KeysMissing` if they do not fit, given the key folder.
        purpose: What they are for, in a few words.
    """

    files: str
    check: Callable[[Path], object]
    purpose: str


@dataclass(frozen=True, slots=True)
class Example:
    """A shell command for newcomers."""

    title: str
    command: str


@dataclass(frozen=True, slots=True)
class Demo:
    """What a service's demo needs to load its part of the demo data and to show it.

    Attributes:
        grpc_address: Of all services.
        http_address: The gateway's public listener.
        internal_http_address: The gateway's internal listener.
        command: The shell words that run the `ridehail` command ...
        data_dir_option: ... and those that name the place of the suite's keys; empty for the default place.
        ticket: Source and destination -> a service ticket.
    """

    grpc_address: str
    http_address: str
    internal_http_address: str
    command: str
    data_dir_option: str
    ticket: Callable[[str, str], str]
    clock: Clock

    def ticket_of(self, source: str) -> Callable[[str], str]:
        return lambda destination: self.ticket(source, destination)

    def grpcurl(self, title: str, method: str, body: str, *, source: str, destination: str) -> Example:
        return Example(
            title,
            f'grpcurl -plaintext -H "x-ya-service-ticket: {self._ticket_words(source, destination)}" '
            f"-d '{body}' {self.grpc_address} {method}",
        )

    def curl(self, title: str, path: str, body: str | None, *, source: str, destination: str) -> Example:
        """Returns a call by curl through the internal listener: a POST, or a GET if there is no body."""
        header = f'"x-ya-service-ticket: {self._ticket_words(source, destination)}"'
        return Example(title, f"{_curl(self.internal_http_address, path)} -H {header}{_data(body)}")

    def passenger_curl(
        self, title: str, path: str, body: str | None, *, uid: str, phone_id: str = "", family_role: str = ""
    ) -> Example:
        """Returns a call by curl through the public listener: a POST, or a GET if there is no body.

        Of what is empty the session says nothing.
        """
        options = {"phone-id": phone_id, "family-role": family_role}
        about = "".join(f" --{name} {value}" for name, value in options.items() if value)
        token = f"$({self.command} token --uid {uid}{about}{self.data_dir_option})"
        header = f'"authorization: Bearer {token}"'
        return Example(title, f"{_curl(self.http_address, path)} -H {header}{_data(body)}")

    def _ticket_words(self, source: str, destination: str) -> str:
        return f"$({self.command} ticket --src {source} --dst {destination}{self.data_dir_option})"


def _curl(address: str, path: str) -> str:
    url = f"http://{address}{path}"
    # Some shells take a question mark for a pattern of file names.
    return f"curl -s '{url}'" if "?" in url else f"curl -s {url}"


def _data(body: str | None) -> str:
    return "" if body is None else f" -d '{body}'"


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """A service of the suite.

    Attributes:
        name: As the command line and tickets name it ("toll-roads").
        contracts: What it serves.
        build: Entered at the start, left after the last call has ended.
        schema: Its schema in Postgres, or None if it stores nothing.
        migrations: The name of its folder of migrations, or None if it is that of the schema. A folder that several
            services share names no schema in its SQL: migrations run with the service's schema as the only one on the
            path.
        configs: Configuration file -> model. Several services may read one file, each with its own model.
        dependencies: The services that it calls.
        demo: Loads its part of the demo world; returns what a newcomer may try.
        keys: The keys that it needs besides those that every service needs.
        needs_cache: Whether it uses a cache that all of its processes have to share.
        has_tasks: Whether it has background tasks, which only a task worker runs.
        archives: Whether its tasks write to the archive.
    """

    name: str
    contracts: Sequence[Contract]
    build: Callable[[ServiceContext], AbstractAsyncContextManager[RunningService]]
    schema: str | None = None
    migrations: str | None = None
    configs: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    dependencies: Sequence[str] = ()
    demo: Callable[[Demo], Awaitable[Sequence[Example]]] | None = None
    keys: Sequence[KeyNeed] = ()
    needs_cache: bool = False
    has_tasks: bool = False
    archives: bool = False

    @property
    def migrations_folder(self) -> Path:
        name = self.migrations or self.schema
        assert name is not None
        return resources.folder("migrations") / name
