"""How the cluster is broken."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.support.tcp_proxy import TcpProxy

from .cluster import FailoverCluster
from .node import ClusterNode
from .settings import PROMISED_S, PROMISED_SWITCHOVER_S

Begin = Callable[[FailoverCluster], None]

_ALONE_S: Final = 4.0
_ETCD_AWAY_S: Final = 30.0


@dataclass(frozen=True)
class ClusterFault:
    """A fault of the cluster; `FailoverCluster.heal` ends it.

    Attributes:
        begin: Breaks it.
        promised_s: Seconds after which calls succeed again.
        lasts_s: How long the fault lasts at least.
        with_end: Whether calls succeed only after its end, so that they are promised for then.
        leader_returns: Whether the old leader goes on when the fault ends, and thinks that it still is the leader.
    """

    name: str
    begin: Begin
    promised_s: float = PROMISED_S
    lasts_s: float = 0.0
    with_end: bool = False
    leader_returns: bool = False


def _leader(cluster: FailoverCluster) -> ClusterNode:
    leader = cluster.leader()
    assert leader is not None
    return leader


def _standby(cluster: FailoverCluster) -> ClusterNode:
    standby = cluster.synchronous_standby()
    assert standby is not None
    return standby


def _both_standbys(cluster: FailoverCluster) -> None:
    leader = _leader(cluster)
    for node in cluster.nodes:
        if node is not leader:
            node.kill()


def _standby_then_leader(cluster: FailoverCluster) -> None:
    """What is acknowledged while the standby hangs, it does not have; then it takes over."""
    leader, standby = _leader(cluster), _standby(cluster)
    standby.hang()
    time.sleep(_ALONE_S)
    leader.kill()
    standby.go_on()


def _cut_off(cluster: FailoverCluster) -> None:
    leader = _leader(cluster)
    leader.cut([*leader.links, *_calls_between(cluster)])


def _cut_off_from_cluster(cluster: FailoverCluster) -> None:
    leader = _leader(cluster)
    leader.cut([*leader.peers, *leader.etcd, *_calls_between(cluster)])


def _calls_between(cluster: FailoverCluster) -> list[TcpProxy]:
    """Returns the links by which nodes call Patroni of others: one for each that is called, whoever calls."""
    return [node.peers[1] for node in cluster.nodes]


def _cut_off_from_etcd(cluster: FailoverCluster) -> None:
    leader = _leader(cluster)
    leader.cut(leader.etcd)


def _etcd_away(cluster: FailoverCluster) -> None:
    for daemon in cluster.etcd:
        daemon.kill_tree()


POSTGRES_KILLED: Final = ClusterFault("Postgres of the leader killed", lambda it: _leader(it).kill_postgres())
KILLED: Final = ClusterFault("leader killed, with all that runs on it", lambda it: _leader(it).kill())
POSTGRES_HANGS: Final = ClusterFault(
    "Postgres of the leader hangs", lambda it: _leader(it).hang(postgres_alone=True), leader_returns=True
)
HANGS: Final = ClusterFault(
    "leader hangs, with all that runs on it", lambda it: _leader(it).hang(), leader_returns=True
)
PATRONI_KILLED: Final = ClusterFault(
    "Patroni of the leader killed, Postgres goes on",
    lambda it: _leader(it).patroni.kill(),
    lasts_s=40.0,
    leader_returns=True,
)
SWITCHOVER: Final = ClusterFault("switchover", lambda it: it.switch_over(), promised_s=PROMISED_SWITCHOVER_S)
CUT_OFF: Final = ClusterFault("leader cut off from all", _cut_off, leader_returns=True)
CUT_OFF_FROM_CLUSTER: Final = ClusterFault(
    "leader cut off from the cluster, not from the servers", _cut_off_from_cluster, leader_returns=True
)
CUT_OFF_FROM_ETCD: Final = ClusterFault("leader cut off from etcd alone", _cut_off_from_etcd, lasts_s=30.0)
STANDBY_KILLED: Final = ClusterFault("synchronous standby killed", lambda it: _standby(it).kill())
STANDBY_HANGS: Final = ClusterFault("synchronous standby hangs", lambda it: _standby(it).hang(), lasts_s=15.0)
BOTH_STANDBYS: Final = ClusterFault("both standbys killed", _both_standbys, lasts_s=15.0, with_end=True)
STANDBY_THEN_LEADER: Final = ClusterFault(
    "synchronous standby hangs, then the leader is killed", _standby_then_leader, promised_s=2 * PROMISED_S
)
ETCD_MEMBER: Final = ClusterFault("a member of etcd killed", lambda it: it.etcd[0].kill_tree(), lasts_s=10.0)
ETCD: Final = ClusterFault("all of etcd away", _etcd_away, lasts_s=_ETCD_AWAY_S)
HAPROXY: Final = ClusterFault("a HAProxy killed", lambda it: it.haproxies[0][1].kill_tree())


@dataclass(frozen=True)
class FailoverPass:
    """One cluster and the faults that it goes through.

    Attributes:
        by_haproxy: Whether servers reach Postgres by HAProxy, or by a URL that names every node.
        has_watchdog: Whether a machine whose Patroni hangs is reset.
    """

    title: str
    by_haproxy: bool
    has_watchdog: bool
    faults: Sequence[ClusterFault]
    quick: Sequence[ClusterFault]


PASSES: Final[Mapping[str, FailoverPass]] = {
    "hosts": FailoverPass(
        "URL with all hosts",
        by_haproxy=False,
        has_watchdog=True,
        faults=[
            *[KILLED, SWITCHOVER, POSTGRES_KILLED] * 2,
            *[HANGS, POSTGRES_HANGS, CUT_OFF] * 2,
            *[KILLED, SWITCHOVER],
            *[CUT_OFF_FROM_CLUSTER, CUT_OFF_FROM_ETCD, STANDBY_KILLED, STANDBY_HANGS, STANDBY_THEN_LEADER],
            *[BOTH_STANDBYS, ETCD_MEMBER, ETCD],
        ],
        quick=[SWITCHOVER, KILLED, STANDBY_THEN_LEADER],
    ),
    "no-watchdog": FailoverPass(
        "URL with all hosts, no watchdog",
        by_haproxy=False,
        has_watchdog=False,
        faults=[HANGS, POSTGRES_HANGS, PATRONI_KILLED, CUT_OFF_FROM_CLUSTER, HANGS, PATRONI_KILLED],
        quick=[HANGS],
    ),
    "haproxy": FailoverPass(
        "HAProxy",
        by_haproxy=True,
        has_watchdog=True,
        faults=[
            *[KILLED, SWITCHOVER] * 2,
            *[POSTGRES_KILLED, HANGS, POSTGRES_HANGS, CUT_OFF, CUT_OFF_FROM_CLUSTER],
            *[STANDBY_KILLED, STANDBY_THEN_LEADER, ETCD, HAPROXY],
        ],
        quick=[KILLED, SWITCHOVER],
    ),
}
