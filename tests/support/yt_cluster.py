"""A small YTsaurus cluster: the commands that the archive uses, in API v4, and what may go wrong with them.

It follows https://ytsaurus.tech/docs/en/api/commands, mutation ids included, and refuses all other commands. What a
cluster does beyond that is not in here: see the README's limits.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.yt_tree import YtRefusal, YtTree, unresolved

NO_TRANSACTION = "0-0-0-0"


@dataclass
class Fault:
    """What happens to a request for a command.

    Attributes:
        command: The command.
        kind: "unavailable" (503), "failed" (500), "cut" (the connection ends before anything is done), "lost" (it ends
            after all is done), "half" (half of the response arrives), "hung" (no response until the cluster stops),
            "forgotten" (as "lost", and the repeat finds nothing of it), or a function, called before anything is done.
        times: How often.
        skip: How many requests for the command pass before.
    """

    command: str
    kind: str | Callable[[], object]
    times: int = 1
    skip: int = 0


class YtCluster:
    """The commands over a tree, and the faults that are to come."""

    def __init__(self) -> None:
        self.tree = YtTree()
        self.token: str | None = None
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, Mapping[str, Any]]] = []
        self.heavy_hosts: list[str] = []
        self.errors: list[BaseException | None] = []
        self.stopped = threading.Event()
        self._responses: dict[str, object] = {}
        self._mutex = threading.RLock()

    def rows(self, path: str) -> list[dict[str, Any]]:
        """Returns the rows of a table that are committed, or none if there is no such table."""
        with self._mutex:
            return self.tree.nodes[path].rows if path in self.tree.nodes else []

    def tables(self, folder: str) -> dict[str, list[dict[str, Any]]]:
        with self._mutex:
            found = {path: node.rows for path, node in self.tree.nodes.items() if node.kind == "table"}
        return {path.rpartition("/")[2]: rows for path, rows in found.items() if path.rpartition("/")[0] == folder}

    def fault(self, command: str) -> str | None:
        """Returns what is to happen to a request, after a function for it was called."""
        with self._mutex:
            for fault in self.faults:
                if fault.command in {command, "*"}:
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    if not fault.times:
                        self.faults.remove(fault)
                    kind = fault.kind
                    break
            else:
                return None
        if isinstance(kind, str):
            return kind
        kind()
        return None

    def forget(self, mutation: object) -> None:
        with self._mutex:
            self._responses.pop(str(mutation), None)

    def execute(self, command: str, parameters: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> object:
        """Executes a command; a repeat by a mutation id that is known gets the first one's response."""
        with self._mutex:
            self.requests.append((command, parameters))
            mutation = parameters.get("mutation_id")
            if mutation is not None and parameters.get("retry") and str(mutation) in self._responses:
                return self._responses[str(mutation)]
            response = _COMMANDS[command](self.tree, parameters, rows)
            if mutation is not None:
                self._responses[str(mutation)] = response
            return response

    @staticmethod
    def knows(command: str) -> bool:
        return command in _COMMANDS


def _transaction_of(parameters: Mapping[str, Any]) -> str | None:
    found = parameters.get("transaction_id")
    return None if found in {None, NO_TRANSACTION} else str(found)


def _start(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    started = tree.start(_transaction_of(given), int(given["timeout"]), given.get("attributes", {}))
    return {"transaction_id": started}


def _ping(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    tree.transaction(str(given["transaction_id"])).pinged_at = time.monotonic()
    return {}


def _commit(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    tree.commit(str(given["transaction_id"]))
    return {}


def _abort(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    tree.abort(tree.transaction(str(given["transaction_id"])).identity)
    return {}


def _create(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    path, transaction = str(given["path"]), _transaction_of(given)
    seen = tree.seen_by(transaction)
    if path in seen:
        if given.get("ignore_existing") and seen[path].kind == given["type"]:
            return {"node_id": f"id of {path}"}
        raise YtRefusal(501, f"Node {path} already exists")
    for parent in _folders(path):
        if parent not in seen:
            if not given.get("recursive"):
                raise unresolved(path)
            tree.create(parent, "map_node", {}, transaction)
    tree.create(path, str(given["type"]), given.get("attributes", {}), transaction)
    return {"node_id": f"id of {path}"}


def _folders(path: str) -> Iterator[str]:
    names = path.removeprefix("//").split("/")[:-1]
    return (f"//{'/'.join(names[: count + 1])}" for count in range(len(names)))


def _exists(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    return {"value": str(given["path"]) in tree.seen_by(_transaction_of(given))}


def _get(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    path, _, attribute = str(given["path"]).partition("/@")
    if path.startswith("#"):
        return int(tree.transaction(path[1:]).timeout_s * 1000)
    node = tree.node(path, _transaction_of(given))
    if not attribute:
        return {name: node.attribute(str(name)) for name in given["attributes"]}
    if attribute not in node.attributes:
        raise unresolved(f"{path}/@{attribute}")
    return node.attributes[attribute]


def _set(tree: YtTree, given: Mapping[str, Any], rows: Sequence[Any]) -> object:
    path, _, attribute = str(given["path"]).partition("/@")
    tree.set_attribute(path, attribute, rows[0], _transaction_of(given))
    return {}


def _list(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    folder, wanted = str(given["path"]), given.get("attributes", ())
    seen = tree.seen_by(_transaction_of(given))
    if folder not in seen:
        raise unresolved(folder)
    names = {path.rpartition("/")[2]: node for path, node in seen.items() if path.rpartition("/")[0] == folder}
    if not wanted:
        return list(names)
    return [
        {"$value": name, "$attributes": {str(one): node.attribute(str(one)) for one in wanted}}
        for name, node in names.items()
    ]


def _lock(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    path, transaction = str(given["path"]), _transaction_of(given)
    if transaction is None:
        raise YtRefusal(1, "A valid master transaction is required")
    tree.node(path, transaction)
    key = ("attribute", str(given["attribute_key"])) if "attribute_key" in given else None
    tree.lock(transaction, path, str(given["mode"]), key)
    return {"lock_id": tree.new_id(), "node_id": f"id of {path}"}


def _write(tree: YtTree, given: Mapping[str, Any], rows: Sequence[dict[str, Any]]) -> object:
    path, transaction = str(given["path"]), _transaction_of(given)
    for row in rows:
        _check_row(tree.node(path, transaction).attributes["schema"], row)
    put = tree.append if given["path"].attributes.get("append") else tree.overwrite
    put(path, rows, transaction)
    return {}


def _check_row(schema: Sequence[Mapping[str, Any]], row: Mapping[str, Any]) -> None:
    types = {"utf8": str, "int64": int, "boolean": bool}
    for column in schema:
        value = row.get(str(column["name"]))
        if type(value) is not types[str(column["type"])] and (value is not None or column["required"]):
            raise YtRefusal(307, f"Schema violation in column {column['name']}")
    if row.keys() - {str(column["name"]) for column in schema}:
        raise YtRefusal(307, "Schema violation: unknown column")


def _start_operation(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    assert given["operation_type"] == "merge"
    spec = given["spec"]
    assert [str(path) for path in spec["input_table_paths"]] == [str(spec["output_table_path"])]
    assert spec["combine_chunks"]
    tree.merge(str(spec["output_table_path"]), _transaction_of(given))
    return {"operation_id": tree.new_id()}


def _get_operation(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    return {"id": str(given["operation_id"]), "state": tree.operation_state}


def _read(tree: YtTree, given: Mapping[str, Any], _rows: object) -> object:
    return tree.node(str(given["path"]), _transaction_of(given)).rows


_COMMANDS: dict[str, Callable[[YtTree, Mapping[str, Any], Sequence[Any]], object]] = {
    "start_transaction": _start,
    "ping_transaction": _ping,
    "commit_transaction": _commit,
    "abort_transaction": _abort,
    "create": _create,
    "exists": _exists,
    "get": _get,
    "set": _set,
    "list": _list,
    "lock": _lock,
    "write_table": _write,
    "read_table": _read,
    "start_operation": _start_operation,
    "get_operation": _get_operation,
}
