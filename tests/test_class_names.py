"""A class name means one thing: names that several modules define are listed, each with the reason."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

_ROOT = Path(__file__).parents[1]
_SOURCES = ("servers", "clients", "bench")
# Classes of the client library that are generated have the names of the contracts' messages and reasons.
_GENERATED = ("_sync/", "/generated/", "ridehail_clients/errors.py", "ridehail_clients/models.py", "error_catalogue.py")

REASONS = {
    "ActiveOrder": "an order under way, as each service that has some knows it",
    "OrderCore": "the adapter of order-core, in each service that calls it",
    "RouteSharing": "the adapter of route-sharing, in each service that calls it",
}
"""Name -> why several modules may define it."""


def duplicates() -> dict[str, set[str]]:
    """Returns the public class names that several modules define, with the modules."""
    modules: defaultdict[str, set[str]] = defaultdict(set)
    for source in _SOURCES:
        for file in sorted((_ROOT / source).rglob("*.py")):
            name = file.relative_to(_ROOT).as_posix()
            if any(part in name for part in _GENERATED):
                continue
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    modules[node.name].add(name)
    return {name: found for name, found in modules.items() if len(found) > 1}


def test_a_name_that_several_modules_define_has_a_reason() -> None:
    unexplained = {name: sorted(modules) for name, modules in duplicates().items() if name not in REASONS}
    assert not unexplained, "rename all but one of each"


def test_every_reason_is_for_a_name_that_several_modules_define() -> None:
    assert REASONS.keys() <= duplicates().keys()
