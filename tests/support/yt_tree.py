"""The tree of a small YTsaurus cluster: folders and static tables, nested master transactions, locks.

It follows https://ytsaurus.tech/docs/en/user-guide/storage/transactions: transactions end by their timeouts, locks have
the compatibility of that page, and are taken implicitly by what changes a node.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class YtRefusal(Exception):
    """An error as the cluster reports it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def unresolved(path: str) -> YtRefusal:
    return YtRefusal(500, f"Error resolving path {path}")


@dataclass
class Node:
    """A folder or a table, as one transaction sees it.

    Attributes:
        kind: "map_node" or "table".
        attributes: Those that were set.
        chunks: The rows of a table, as they were appended.
    """

    kind: str
    attributes: dict[str, Any] = field(default_factory=dict)
    chunks: list[list[dict[str, Any]]] = field(default_factory=list)

    @property
    def rows(self) -> list[dict[str, Any]]:
        return list(itertools.chain.from_iterable(self.chunks))

    def copy(self) -> Node:
        return Node(self.kind, dict(self.attributes), list(self.chunks))

    def attribute(self, name: str) -> Any:
        computed = {"type": self.kind, "chunk_count": len(self.chunks), "row_count": len(self.rows), "sorted": False,
                    "dynamic": False, "compressed_data_size": 1, "data_weight": 1, "uncompressed_data_size": 1,
                    "replication_factor": 3}  # fmt: skip
        return {**computed, **self.attributes}[name]


Change = Callable[[dict[str, Node]], object]


@dataclass
class Transaction:
    """A master transaction.

    Attributes:
        parent: The id of the one around it, or None.
        changes: What it changed, in order: its parent's nodes and these are what it sees.
    """

    identity: str
    parent: str | None
    timeout_s: float
    attributes: Mapping[str, Any]
    pinged_at: float = 0
    changes: list[Change] = field(default_factory=list)


@dataclass(frozen=True)
class Lock:
    transaction: str
    path: str
    mode: str
    key: tuple[str, str] | None = None


class YtTree:
    """Nodes, transactions and locks. One thread at a time."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {"/": Node("map_node")}
        self.transactions: dict[str, Transaction] = {}
        self.locks: list[Lock] = []
        self.operation_state = "completed"
        self._ids = itertools.count(1)

    def new_id(self) -> str:
        return f"{next(self._ids):x}-0-0-1"

    # Transactions

    def start(self, parent: str | None, timeout_ms: int, attributes: Mapping[str, Any]) -> str:
        if parent is not None:
            self.transaction(parent)
        started = Transaction(self.new_id(), parent, timeout_ms / 1000, attributes, time.monotonic())
        self.transactions[started.identity] = started
        return started.identity

    def transaction(self, identity: str) -> Transaction:
        self._expire()
        if identity not in self.transactions:
            raise YtRefusal(11000, f"No such transaction {identity}")
        return self.transactions[identity]

    def commit(self, identity: str) -> None:
        ended = self.transaction(identity)
        if any(one.parent == identity for one in self.transactions.values()):
            raise YtRefusal(1, "Transaction has nested transactions")
        if ended.parent is None:
            for change in ended.changes:
                change(self.nodes)
        else:
            self.transactions[ended.parent].changes += ended.changes
            inherited = [one for one in self.locks if one.transaction == identity and one.mode != "snapshot"]
            self.locks += [Lock(ended.parent, one.path, one.mode, one.key) for one in inherited]
        self._forget(identity)

    def abort(self, identity: str) -> None:
        for nested in [one.identity for one in self.transactions.values() if one.parent == identity]:
            self.abort(nested)
        self._forget(identity)

    def _forget(self, identity: str) -> None:
        del self.transactions[identity]
        self.locks = [one for one in self.locks if one.transaction != identity]

    def _expire(self) -> None:
        now = time.monotonic()
        for one in list(self.transactions.values()):
            if now > one.pinged_at + one.timeout_s and one.identity in self.transactions:
                self.abort(one.identity)

    def _around(self, identity: str | None) -> list[Transaction]:
        """Returns a transaction and those around it, the outermost first."""
        found: list[Transaction] = []
        while identity is not None:
            found.insert(0, self.transaction(identity))
            identity = found[0].parent
        return found

    # Locks

    def lock(self, transaction: str | None, path: str, mode: str, key: tuple[str, str] | None = None) -> None:
        self._expire()
        own = {one.identity for one in self._around(transaction)}
        for other in self.locks:
            if other.path != path or other.transaction in own or "snapshot" in {mode, other.mode}:
                continue
            if "exclusive" in {mode, other.mode} or (key is not None and key == other.key):
                raise YtRefusal(
                    402, f"Cannot take {mode} lock for node {path}: taken by transaction {other.transaction}"
                )
        if transaction is not None:
            self.locks.append(Lock(transaction, path, mode, key))

    # Nodes

    def seen_by(self, transaction: str | None) -> dict[str, Node]:
        """Returns all nodes as a transaction sees them."""
        around = self._around(transaction)
        if not any(one.changes for one in around):
            return self.nodes
        seen = {path: node.copy() for path, node in self.nodes.items()}
        for one in around:
            for change in one.changes:
                change(seen)
        return seen

    def node(self, path: str, transaction: str | None) -> Node:
        seen = self.seen_by(transaction)
        if path not in seen:
            raise unresolved(path)
        return seen[path]

    def change(self, transaction: str | None, change: Change) -> None:
        if transaction is None:
            change(self.nodes)
        else:
            self.transaction(transaction).changes.append(change)

    def create(self, path: str, kind: str, attributes: Mapping[str, Any], transaction: str | None) -> None:
        self.lock(transaction, path.rpartition("/")[0], "shared", ("child", path))
        self.lock(transaction, path, "exclusive")
        self.change(transaction, lambda nodes: nodes.setdefault(path, Node(kind, dict(attributes))))

    def append(self, path: str, rows: Sequence[dict[str, Any]], transaction: str | None) -> None:
        self.lock(transaction, path, "shared")
        chunk = list(rows)
        self.change(transaction, lambda nodes: nodes[path].chunks.append(chunk))

    def overwrite(self, path: str, rows: Sequence[dict[str, Any]], transaction: str | None) -> None:
        self.lock(transaction, path, "exclusive")
        chunk = list(rows)
        self.change(transaction, lambda nodes: setattr(nodes[path], "chunks", [chunk]))

    def merge(self, path: str, transaction: str | None) -> None:
        """Makes one chunk of all that the transaction sees when it begins, as the operation of that name does."""
        rows = self.node(path, transaction).rows
        self.lock(transaction, path, "exclusive")
        self.change(transaction, lambda nodes: setattr(nodes[path], "chunks", [rows]))

    def set_attribute(self, path: str, name: str, value: object, transaction: str | None) -> None:
        self.node(path, transaction)
        self.lock(transaction, path, "shared", ("attribute", name))
        self.change(transaction, lambda nodes: nodes[path].attributes.__setitem__(name, value))
