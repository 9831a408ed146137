"""How a process is run: what the command line and the environment decide, and what `server.yaml` tunes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .connection_load import WaitTargets

TRANSPORT_VARIABLE = "RIDEHAIL_TRANSPORT"


class PoolSettings(BaseModel):
    """Sizes and limits of each service's pool, per process."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_size: int = Field(default=1, ge=0, le=100)
    max_size: int = Field(default=8, ge=1, le=200)
    # Seconds to wait for a connection, where the call has no shorter deadline.
    timeout_s: float = Field(default=1.0, gt=0, le=60)
    # Calls that may wait for a connection at once; one more is refused.
    max_waiting: int = Field(default=200, ge=1)
    # The longest that a query which calls share may take. No caller's deadline bounds it. To wait for one and for one's
    # own has to take less than the second that contracts give such calls: so callers learn that the database does not
    # respond, rather than that their time is up.
    shared_read_timeout_ms: int = Field(default=400, ge=1)
    statement_timeout_ms: int = Field(default=5_000, ge=1)
    lock_timeout_ms: int = Field(default=2_000, ge=1)
    # Whether frequent statements are prepared. A pooler that changes the server between transactions may not bear it.
    prepared_statements: bool = True


class CacheSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # The longest that one operation may delay a call.
    timeout_ms: int = Field(default=50, ge=1, le=10_000)
    # Entries that a cache in memory holds at most; those that were used least recently go first.
    memory_entries: int = Field(default=10_000, ge=1)


class TaskSettings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    # Tasks of one service that a worker process runs at once.
    concurrency: int = Field(default=8, ge=1, le=200)
    # A worker says this often that it lives ...
    heartbeat_s: float = Field(default=5, gt=0)
    # ... and counts as dead after this long without a word; then others take over its tasks.
    stalled_after_s: float = Field(default=20, gt=0)
    # How often each worker looks for tasks of dead ones.
    rescue_interval_s: float = Field(default=5, gt=0)
    # How long a stopping worker waits for the tasks it runs.
    drain_s: float = Field(default=20, ge=0)


class AdmissionSettings(BaseModel):
    """When calls that need a service's database are refused, so that those that go on end in time."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Calls go on while the wait for a connection is no longer than this, in a queue that stands ...
    standing_wait_ms: float = Field(default=50, gt=0)
    # ... or than this, in one that was empty that long ago or less.
    burst_wait_ms: float = Field(default=250, gt=0)
    # So many more of each service wait, the newest of them goes on first ...
    max_waiting: int = Field(default=8, ge=0)
    # ... and each is refused after this long.
    max_wait_ms: float = Field(default=30, gt=0)

    @property
    def targets(self) -> WaitTargets:
        return WaitTargets(standing_s=self.standing_wait_ms / 1000, burst_s=self.burst_wait_ms / 1000)


class TlsSettings(BaseModel):
    """What certificates prove, where the process has some."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # True: who has no certificate is not let in.
    client_certificates: bool = True
    # True: a caller's certificate has to name the source of its ticket. Needs client_certificates.
    source_names: bool = True


class ServerTuning(BaseModel):
    """The content of `server.yaml`. Read at the start only."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Calls that one process has under way at most; one more is refused, unless its service has less than its equal
    # share.
    max_calls_under_way: int = Field(default=500, ge=1)
    admission: AdmissionSettings = AdmissionSettings()
    # True: one log line a call. False: only for calls that failed.
    log_successful_calls: bool = True
    # Messages larger than this are refused, in both directions.
    max_message_bytes: int = Field(default=4 * 1024 * 1024, ge=1024)
    # By what calls come in and responses go out. `native` takes a fraction of the processor time, and lacks TLS and the
    # age of connections; `auto` is `native` where nothing asks for those. The environment decides where the file does
    # not.
    transport: Literal["auto", "grpcio", "native"] = Field(
        default_factory=lambda: os.environ.get(TRANSPORT_VARIABLE, "grpcio"), validate_default=True
    )
    # A connection is closed after this long (plus up to a tenth), so that clients spread over new processes. None: by
    # `grpcio` after 600, by `native` never.
    max_connection_age_s: float | None = Field(default=None, gt=0)
    # A stopping server says NOT_SERVING for this long before it stops to accept calls: longer than the interval at
    # which balancers ask for its health.
    drain_notice_s: float = Field(default=5, ge=0)
    # ... and then waits this long for the calls under way.
    drain_grace_s: float = Field(default=20, ge=0)
    # Calls that had arrived when the server stopped to accept more reach their handlers within this time.
    drain_quiet_s: float = Field(default=0.1, ge=0)
    # A contract's health is NOT_SERVING once its service's database has been unreachable for this long.
    database_away_s: float = Field(default=10, gt=0)
    # Configuration files are read this often; what two looks in a row have found is taken over.
    reload_every_s: float = Field(default=0.25, gt=0)
    # A process whose event loop does nothing for this long ends; whoever runs it starts another.
    loop_stuck_s: float = Field(default=10, gt=0)
    pool: PoolSettings = PoolSettings()
    tasks: TaskSettings = TaskSettings()
    cache: CacheSettings = CacheSettings()
    tls: TlsSettings = TlsSettings()


class ProcessSettings(BaseModel):
    """All that a server or worker process is started with. Holds no secrets but the URLs of databases and cache."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Names of the services to run.
    services: tuple[str, ...]
    host: str = "127.0.0.1"
    grpc_port: int = 0
    config_dir: Path
    # Holds `tickets/<source>/` and `sessions/` (key rings) and `gateway.key`.
    keys_dir: Path
    # Service -> Postgres URL.
    database_urls: dict[str, str] = {}
    # Service -> host:port, or any target that gRPC understands.
    addresses: dict[str, str] = {}
    # Where services keep what they archive: the URL of a folder. None: they archive nothing.
    archive_url: str | None = None
    # Of the cache that all processes of a service share; "none": there is none. None: each has its own, in memory.
    cache_url: str | None = None
    # Holds `ca.pem`, `cert.pem` and `key.pem`. None: plain text.
    tls_dir: Path | None = None
    reflection: bool = False
    log_level: str = "INFO"
    # Overrides of `server.yaml`, for `up`: a newcomer's Ctrl-C should not take seconds.
    drain_notice_s: float | None = None
