"""Every rule in docs/mission.md names files and tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[1]
_PAGE = _ROOT / "docs" / "mission.md"
_SOURCES = (_ROOT / "servers" / "ridehail_servers", _ROOT / "clients", _ROOT)
_DESIGNS = ("Personal states", "Order state", "Agreements", "Sharing with the family", "Toll roads")
_ROW = re.compile(r"\| (?P<rule>.+?) \| (?P<files>(?:`[^`|]+`(?:, )?)+) \| (?P<tests>(?:`[^`|]+`(?:, )?)+) \|")
_CODE = re.compile(r"`([^`]+)`")


@cache
def names_in(file: str) -> frozenset[str]:
    """Returns the names that a file of tests gives to functions, classes and values of its top level."""
    path = _ROOT / "tests" / file
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body if path.is_file() else ():
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return frozenset(found)


def is_missing(name: str) -> bool:
    """Returns whether a page names a file or a test that does not exist."""
    file, _, test = name.partition("::")
    if test:
        return not test.lower().startswith("test") or test not in names_in(file)
    return not any((root / file).is_file() for root in _SOURCES)


def missing(text: str) -> list[str]:
    """Returns what is wrong with a page: lines of tables that are no rules, files and tests that do not exist."""
    wrong = []
    for line in text.splitlines():
        if line in ("| rule | kept in | proven by |", "|---|---|---|"):
            continue
        named = [name for name in _CODE.findall(line) if name.endswith(".py") or "::" in name]
        if line.startswith("|"):
            row = _ROW.fullmatch(line)
            tests = [] if row is None else _CODE.findall(row["tests"])
            if row is None or not all("::" in test for test in tests):
                wrong.append(line)
                continue
            named = [*_CODE.findall(row["files"]), *tests]
        wrong += [name for name in named if is_missing(name)]
    return wrong


def test_the_files_and_tests_of_every_rule_exist() -> None:
    assert missing(_PAGE.read_text()) == []


def test_every_design_has_its_table() -> None:
    sections = dict(zip(*[iter(re.split(r"^## (.+)$", _PAGE.read_text(), flags=re.M)[1:])] * 2, strict=True))
    assert tuple(sections) == (*_DESIGNS, "Beyond the designs")
    del sections["Beyond the designs"]
    rules = {design: len(_ROW.findall(text)) for design, text in sections.items()}
    assert all(number >= 15 for number in rules.values()), rules
    assert all("\nDepartures:\n\n- " in text for text in sections.values())


_GOOD_FILE, _GOOD_TEST = "`suite.py`", "`test_mission.py::test_every_design_has_its_table`"


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        (f"| a rule | {_GOOD_FILE} | {_GOOD_TEST} |", []),
        (f"| a rule | {_GOOD_FILE}, `gone.py` | {_GOOD_TEST} |", ["gone.py"]),
        (f"| a rule | {_GOOD_FILE} | {_GOOD_TEST}, `test_mission.py::test_gone` |", ["test_mission.py::test_gone"]),
        (f"| a rule | {_GOOD_FILE} | `test_gone.py::test_gone` |", ["test_gone.py::test_gone"]),
        (f"| a rule | {_GOOD_FILE} | `test_mission.py::missing` |", ["test_mission.py::missing"]),
        (f"| a rule | {_GOOD_FILE} | |", [f"| a rule | {_GOOD_FILE} | |"]),
        (f"| a rule | {_GOOD_FILE} | `test_mission.py` |", [f"| a rule | {_GOOD_FILE} | `test_mission.py` |"]),
        (f"- Another way (`gone.py`, {_GOOD_TEST}), `a.key` included.", ["gone.py"]),
    ],
)
def test_a_line_that_names_what_does_not_exist_is_found(line: str, wrong: list[str]) -> None:
    assert missing(line) == wrong
