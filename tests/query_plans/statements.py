"""Every SQL statement of the servers, as its store sends it."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import psycopg
from psycopg.rows import TupleRow

import ridehail_servers
from ridehail_servers import suite
from ridehail_servers.chassis.database import Connection
from tests.query_plans.sample_arguments import argument_sets

_ROOT = Path(ridehail_servers.__file__).parent
_CALLS = {"execute", "executemany", "copy", "stream"}

OTHER_MODULES = {
    "chassis/change_listener.py": "listens to a channel",
    "chassis/database_connection.py": "checks a connection by an empty statement",
    "chassis/migrations.py": "creates schemas and roles",
    "chassis/schema_version.py": "reads which migrations were applied",
    "chassis/tasks.py": "checks the database by SELECT 1; all else is procrastinate's",
    "command_line/order_state_jobs.py": "begins a transaction",
    "command_line/shadow_jobs.py": "begins a transaction",
    "runtime/doctor.py": "asks for the rights of its role",
    "runtime/postgres.py": "creates the database",
}
"""The modules that are no stores and send statements all the same -> which."""


@dataclass(frozen=True, slots=True)
class StoreMethod:
    """A method of a store, and the schema that its statements are about."""

    schema: str
    store: type
    name: str

    @property
    def short_name(self) -> str:
        return f"{self.store.__name__}.{self.name}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.short_name}"


@dataclass(frozen=True, slots=True)
class Site:
    """A line that sends a statement, as `toll_roads/store.py:42`."""

    module: str
    line: int

    def __str__(self) -> str:
        return f"{self.module}:{self.line}"


@cache
def store_methods() -> tuple[StoreMethod, ...]:
    """Returns every method of every store that sends something."""
    return tuple(
        StoreMethod(_schema_of(module), store, name)
        for module in _store_modules()
        for store in vars(importlib.import_module(module)).values()
        if isinstance(store, type) and store.__module__ == module
        for name, method in vars(store).items()
        if inspect.iscoroutinefunction(method) and "connection" in inspect.signature(method).parameters
    )


def sites() -> dict[Site, range]:
    """Returns every place of the servers' source that sends a statement, with its lines."""
    return {
        Site(file.relative_to(_ROOT).as_posix(), node.lineno): range(node.lineno, (node.end_lineno or node.lineno) + 1)
        for file in sorted(_ROOT.rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS
    }


class PreparingCursor(psycopg.AsyncCursor[TupleRow]):
    """Prepares every statement, so that the server has it as it runs once it is prepared; notes who sent it."""

    sent_from: set[Site] = set()

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Any:  # as AsyncCursor takes them
        self._note_sender()
        return await super().execute(query, params, **{**options, "prepare": True})

    def copy(self, *arguments: Any, **options: Any) -> Any:  # as AsyncCursor takes them
        self._note_sender()
        return super().copy(*arguments, **options)

    def _note_sender(self) -> None:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            file = Path(frame.f_code.co_filename)
            if file.is_relative_to(_ROOT):
                self.sent_from.add(Site(file.relative_to(_ROOT).as_posix(), frame.f_lineno))
                return
            frame = frame.f_back


async def send(connection: Connection, method: StoreMethod) -> None:
    """Calls a method with sample arguments, in all their combinations."""
    function = getattr(method.store, method.name)
    for arguments in argument_sets(function, skipped={"self", "connection"}):
        await function(method.store(), connection, **arguments)


def _store_modules() -> Iterator[str]:
    for module in pkgutil.walk_packages([str(_ROOT)], f"{ridehail_servers.__name__}."):
        if module.name.rpartition(".")[2].endswith("store"):
            yield module.name


def _schema_of(module: str) -> str:
    for definition in suite.SERVICES.values():
        package = definition.build.__module__.rpartition(".")[0]
        if definition.schema is not None and (
            module.startswith(f"{package}.") or (definition.has_tasks and ".chassis." in module)
        ):
            return definition.schema
    raise LookupError(f"{module} belongs to no service that stores anything")
