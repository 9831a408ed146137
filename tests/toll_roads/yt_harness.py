"""A cluster of YTsaurus for the archive's tests, and what is in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from ridehail_servers.toll_roads.retention.rows import ArchivedChange, ArchivedTable
from ridehail_servers.toll_roads.retention.yt_archive import YtArchiveTable
from ridehail_servers.toll_roads.retention.yt_client import YtTimeouts
from tests.support.retention import NOW
from tests.support.yt_cluster import Fault, YtCluster
from tests.support.yt_tree import Transaction, YtTree

FOLDER = "//home/ridehail"
# What a writer that was killed leaves behind ends soon; what hangs is given up soon.
QUICK = YtTimeouts(connect_s=2, request_s=2, table_s=2, transaction_s=2, total_s=30, pause_s=0.01, max_pause_s=0.1)


def changes(*order_ids: str, created: datetime = NOW) -> list[ArchivedChange]:
    return [ArchivedChange(order_id, created, has_toll_road=True) for order_id in order_ids]


@dataclass
class YtHarness:
    cluster: YtCluster
    address: str

    @property
    def url(self) -> str:
        return f"yt://{self.address}/home/ridehail?tls=off"

    def table(
        self, name: ArchivedTable = ArchivedTable.LOG, *, options: str = "", timeouts: YtTimeouts = QUICK
    ) -> YtArchiveTable:
        return YtArchiveTable(self.url + options, name, timeouts=timeouts)

    def reset(self) -> None:
        self.cluster.tree = YtTree()
        self.cluster.token = None
        self.cluster.faults.clear()
        self.cluster.requests.clear()

    def fault(self, command: str, kind: str | Callable[[], object], *, times: int = 1, skip: int = 0) -> None:
        self.cluster.faults.append(Fault(command, kind, times, skip))

    def archived(self, name: ArchivedTable, columns: Sequence[str]) -> list[tuple[object, ...]]:
        """Returns the committed rows of all days."""
        days = self.cluster.tables(f"{FOLDER}/{name.value}").values()
        return sorted(tuple(row[column] for column in columns) for rows in days for row in rows)

    def order_ids(self, name: ArchivedTable = ArchivedTable.LOG) -> list[object]:
        return [row[0] for row in self.archived(name, ("order_id",))]

    def last_batch(self, name: ArchivedTable = ArchivedTable.LOG) -> object:
        return self.cluster.tree.nodes[f"{FOLDER}/{name.value}"].attributes.get("toll_roads_last_batch")

    @property
    def transactions(self) -> list[Transaction]:
        return list(self.cluster.tree.transactions.values())
