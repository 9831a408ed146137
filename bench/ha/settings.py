"""How the cluster is set up, and the files that say so. Production takes the same, see docs/production.md."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TTL_S: Final = 20
"""A leader that has not confirmed itself for this long is replaced. Patroni allows no less."""

_LOOP_WAIT_S: Final = 3
_RETRY_S: Final = 5
# Before its place is given away: the watchdog resets the machine this much earlier.
_SAFETY_S: Final = 5
# To win the election and to be promoted, and for the servers to find the new leader.
_ELECTION_S: Final = 7

PROMISED_S: Final = float(TTL_S + _LOOP_WAIT_S + _ELECTION_S)
"""Within this time of any fault calls succeed again."""

PROMISED_SWITCHOVER_S: Final = 15.0
"""As above, after a planned change of leader."""

_DCS: Final = {
    "ttl": TTL_S,
    "loop_wait": _LOOP_WAIT_S,
    "retry_timeout": _RETRY_S,
    # While etcd is away, a leader goes on that all other members confirm.
    "failsafe_mode": True,
    # No commit is reported before one standby has it, and where there is none, no commit is.
    "synchronous_mode": True,
    "synchronous_mode_strict": True,
    # Its standby has everything: it takes over at once, instead of a recovery that is waited for.
    "primary_start_timeout": 0,
    # A server that hangs is killed.
    "primary_stop_timeout": 5,
    "postgresql": {
        "use_pg_rewind": True,
        "use_slots": True,
        "parameters": {
            "max_connections": 100,
            "shared_buffers": "64MB",
            "wal_keep_size": "256MB",
            # A standby that hangs is no longer waited for after this long.
            "wal_sender_timeout": "5s",
            "wal_receiver_timeout": "5s",
            # The other standby follows a new leader this soon; until it does, no commit is confirmed.
            "wal_retrieve_retry_interval": "500ms",
            "log_min_messages": "warning",
        },
    },
}


@dataclass(frozen=True)
class NodePorts:
    """The ports of a node, and those of the proxies by which others know it."""

    postgres: int
    rest: int
    postgres_for_peers: int
    rest_for_peers: int


def patroni_file(
    name: str, folder: Path, binaries: Path, ports: NodePorts, etcd: Sequence[str], *, has_watchdog: bool
) -> str:
    """Returns the configuration of a node; YAML, as JSON is."""
    host = "127.0.0.1"
    watchdog = {"mode": "required", "driver": "testing", "device": str(folder / "watchdog"), "safety_margin": _SAFETY_S}
    trusted = ["local all all trust", f"host all all {host}/32 trust", f"host replication all {host}/32 trust"]
    content = {
        "scope": "ridehail",
        "name": name,
        "restapi": {"listen": f"{host}:{ports.rest}", "connect_address": f"{host}:{ports.rest_for_peers}"},
        # The members of etcd are known by the node's own links to them, and by no other address.
        "etcd3": {"hosts": list(etcd), "use_proxies": True},
        "bootstrap": {"dcs": _DCS, "initdb": [{"encoding": "UTF8"}]},
        "postgresql": {
            "listen": f"{host}:{ports.postgres}",
            "connect_address": f"{host}:{ports.postgres_for_peers}",
            "data_dir": str(folder / "data"),
            "bin_dir": str(binaries),
            "authentication": {"superuser": {"username": "postgres"}, "replication": {"username": "replicator"}},
            "pg_hba": trusted,
            "parameters": {"unix_socket_directories": str(folder)},
        },
        "watchdog": watchdog if has_watchdog else {"mode": "off"},
    }
    return json.dumps(content, indent=1)


_HAPROXY: Final = """
global
    maxconn 1000
defaults
    mode tcp
    timeout connect 2s
    # Longer than the longest statement; connections that nobody uses are checked by the servers every 3 s.
    timeout client 60s
    timeout server 60s
    option clitcpka
    option srvtcpka
listen primary
    bind 127.0.0.1:{port}
    # Patroni says 200 for the leader alone, and says nothing where it hangs.
    option httpchk OPTIONS /primary
    http-check expect status 200
    timeout check 2s
    # Who is no leader any more loses its connections at once.
    default-server inter 1s fall 2 rise 1 on-marked-down shutdown-sessions
{servers}
"""


def haproxy_file(port: int, servers: Mapping[str, tuple[int, int]]) -> str:
    """Returns the configuration of a HAProxy; of each server the port of Postgres and that of its check."""
    lines = [f"    server {name} 127.0.0.1:{postgres} check port {rest}" for name, (postgres, rest) in servers.items()]
    return _HAPROXY.format(port=port, servers="\n".join(lines))
