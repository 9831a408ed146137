"""Three machines with Patroni, three members of etcd, and two HAProxies before them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from psycopg import conninfo

from bench.chaos.postgres import HOST, Postgres, create_database
from ridehail_servers.runtime.running_postgres import DATABASE
from tests.support.tcp_proxy import Mode

from . import tools
from .daemon import ClusterDaemon, steady_port
from .node import ClusterNode
from .settings import haproxy_file
from .tools import Tools

_START_S: Final = 120.0
_COMMAND_S: Final = 60.0
_LOOK_S: Final = 0.2
_NODES: Final = 3


class NotHealthy(Exception):
    """The cluster did not become what it should be in time; the message says what it is."""


class FailoverCluster:
    """The cluster, started and healthy, with the schemas of every service.

    Attributes:
        url: Names every node.
        proxied_url: Names both HAProxies.
    """

    def __init__(self, folder: Path, programs: Tools, stack: ExitStack, *, has_watchdog: bool) -> None:
        # It is never started: it knows where the programs are, and as whom they run.
        package = Postgres(folder / "unused")
        user = package.system_user
        patroni = tools.patroni(user)
        self._folder = folder
        self._stack = stack
        self.etcd: list[ClusterDaemon] = []
        etcd_ports = self._start_etcd(programs.etcd)
        self.nodes = [
            ClusterNode(
                f"node-{number}",
                folder / f"node-{number}",
                binaries=package.binaries,
                patroni=patroni,
                user=user,
                etcd_ports=etcd_ports,
                has_watchdog=has_watchdog,
                stack=stack,
            )
            for number in range(1, _NODES + 1)
        ]
        for node in self.nodes:
            node.start()
        self.haproxies = [self._start_haproxy(programs.haproxy, number) for number in (1, 2)]
        self.wait(self._is_restored, within_s=_START_S)
        create_database(self.url)

    def _start_etcd(self, program: str) -> list[int]:
        """Starts the members of etcd; returns the ports for clients."""
        ports = [(steady_port(), steady_port()) for _ in range(3)]
        members = ",".join(f"etcd-{number}=http://{HOST}:{peer}" for number, (_port, peer) in enumerate(ports))
        for number, (port, peer) in enumerate(ports):
            name, (client, own) = f"etcd-{number}", (f"http://{HOST}:{port}", f"http://{HOST}:{peer}")
            words = [program, "--name", name, "--data-dir", str(self._folder / name)]
            words += ["--listen-client-urls", client, "--advertise-client-urls", client]
            words += ["--listen-peer-urls", own, "--initial-advertise-peer-urls", own, "--initial-cluster", members]
            # A machine with other work on all its cores is not taken for a dead one.
            words += ["--heartbeat-interval", "200", "--election-timeout", "2000", "--logger", "zap"]
            self.etcd.append(self._daemon(words, name))
        return [port for port, _peer in ports]

    def _start_haproxy(self, program: str, number: int) -> tuple[int, ClusterDaemon]:
        port, name = steady_port(), f"haproxy-{number}"
        servers = {node.name: (node.clients[0].port, node.clients[1].port) for node in self.nodes}
        file = self._folder / f"{name}.cfg"
        file.write_text(haproxy_file(port, servers))
        return port, self._daemon([program, "-db", "-f", str(file)], name)

    def _daemon(self, words: list[str], name: str) -> ClusterDaemon:
        daemon = ClusterDaemon(words, self._folder / f"{name}.log", user=None)
        self._stack.callback(daemon.kill_tree)
        daemon.start()
        return daemon

    @property
    def url(self) -> str:
        return self._url([node.clients[0].port for node in self.nodes])

    @property
    def proxied_url(self) -> str:
        return self._url([port for port, _haproxy in self.haproxies])

    def own_url(self, node: ClusterNode) -> str:
        """Returns a URL of one node that does not go by its links."""
        return self._url([node.port])

    def _url(self, ports: list[int]) -> str:
        hosts = ",".join([HOST] * len(ports))
        return conninfo.make_conninfo(
            host=hosts,
            port=",".join(map(str, ports)),
            user="postgres",
            dbname=DATABASE,
            target_session_attrs="read-write",
            connect_timeout=2,
        )

    def leader(self) -> ClusterNode | None:
        """Returns the node that says that it is the leader, or None if none or several do."""
        leaders = [node for node in self.nodes if node.status().get("role") == "primary"]
        return leaders[0] if len(leaders) == 1 else None

    def synchronous_standby(self) -> ClusterNode | None:
        """Returns the node that commits wait for, or None if there is none."""
        return next((node for node in self.nodes if node.status().get("sync_standby")), None)

    def is_healthy(self) -> bool:
        """Whether there are a leader, a synchronous standby that may replace it, and another standby that follows."""
        statuses = [node.status() for node in self.nodes]
        leader = next((it for it in statuses if it.get("role") == "primary"), {})
        streaming = [it for it in leader.get("replication", ()) if it.get("state") == "streaming"]
        # Postgres knows its standby a moment before etcd does, and only whom etcd names may take over.
        is_synchronous = any(it.get("sync_standby") for it in statuses)
        return len(streaming) == _NODES - 1 and is_synchronous and all(it.get("state") == "running" for it in statuses)

    def wait(self, condition: Callable[[], object], *, within_s: float) -> float:
        """Waits for a state of the cluster; returns the seconds that it took.

        Raises:
            NotHealthy: It did not come about in time.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() > began + within_s:
                raise NotHealthy("; ".join(f"{node.name} {node.status()}" for node in self.nodes))
            time.sleep(_LOOK_S)
        return time.monotonic() - began

    def switch_over(self) -> None:
        """Has another node become the leader, as an operator does."""
        leader = self.leader()
        assert leader is not None
        words = leader.patronictl("switchover", "--force", "--leader", leader.name, "ridehail")
        ended = subprocess.run(
            words, check=False, capture_output=True, text=True, timeout=_COMMAND_S, env=leader.environment, cwd="/"
        )
        if "Successfully switched over" not in ended.stdout:  # it says so, and ends as if all were well
            raise NotHealthy(f"{ended.stdout} {ended.stderr}")

    def heal(self) -> None:
        """Lets everything go on, connects and starts it, whatever a fault has done to it."""
        for node in self.nodes:
            node.go_on()
            node.cut([link for link in node.links if link.mode is not Mode.PASS], Mode.PASS)
        self._start_what_ended()

    def restore(self, *, within_s: float) -> None:
        """Heals it and waits until it is healthy; raises `NotHealthy` if it is not in time."""
        self.heal()
        self.wait(self._is_restored, within_s=within_s)

    def _is_restored(self) -> bool:
        # A port may be taken for a moment, by a connection of something else, when its owner comes back.
        self._start_what_ended()
        return self.is_healthy()

    def _start_what_ended(self) -> None:
        for node in self.nodes:
            node.start()
        for daemon in [*self.etcd, *(haproxy for _port, haproxy in self.haproxies)]:
            if not daemon.runs:
                daemon.start()
