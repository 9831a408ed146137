"""Migrations run while the release before still serves, so none takes away what that one uses.

A statement that does so, the contracting half of an expansion that an earlier release began, says why it is safe by a
comment before it, `-- contracts: ...`. See docs/production.md, "Upgrades".
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MIGRATIONS = Path(__file__).parents[2] / "migrations"
_BREAKING = {
    "removes a table": r"\bDROP\s+TABLE\b",
    "removes a column": r"\bDROP\s+COLUMN\b|\bDROP\s+(?!CONSTRAINT|NOT|DEFAULT|EXPRESSION|IDENTITY|INDEX|TABLE|TRIGGER"
    r"|FUNCTION|VIEW|SCHEMA|TYPE|SEQUENCE|COLUMN)(?:IF\s+EXISTS\s+)?[a-z_]+\b",
    "renames": r"\bRENAME\b",
    "changes a type": r"\bALTER\s+(?:COLUMN\s+)?[a-z_]+\s+(?:SET\s+DATA\s+)?TYPE\b",
    "demands a value that older writers do not give": r"\bSET\s+NOT\s+NULL\b"
    r"|\bADD\s+(?:COLUMN\s+)?(?!CONSTRAINT)(?=[^,;]*\bNOT\s+NULL\b)(?![^,;]*\b(?:DEFAULT|GENERATED)\b)[a-z_]+\s",
}
_MARK = "-- contracts: "


def broken_rules(text: str) -> list[str]:
    """Returns what the statements of a migration take away without saying why they may."""
    bodies = re.sub(r"(\$[a-z_]*\$).*?\1", "''", text, flags=re.S)
    found = []
    for statement in bodies.split(";"):
        sql = re.sub(r"--.*|'(?:[^']|'')*'", "", statement)
        if _MARK not in statement:
            found += [rule for rule, pattern in _BREAKING.items() if re.search(pattern, sql, flags=re.I)]
    return found


def later_migrations() -> list[Path]:
    """Returns all but each schema's first: before that there was nothing to break."""
    return [
        file
        for file in sorted(MIGRATIONS.glob("*/*.sql"))
        if not file.name.endswith(".rollback.sql") and not file.name.startswith("0001.")
    ]


@pytest.mark.unit
@pytest.mark.parametrize("file", later_migrations(), ids=lambda file: f"{file.parent.name}/{file.stem}")
def test_a_migration_takes_nothing_from_the_release_before(file: Path) -> None:
    assert broken_rules(file.read_text()) == []


@pytest.mark.unit
@pytest.mark.parametrize(
    ("sql", "rules"),
    [
        ("DROP TABLE a", ["removes a table"]),
        ("ALTER TABLE a DROP COLUMN b", ["removes a column"]),
        ("ALTER TABLE a DROP b", ["removes a column"]),
        ("ALTER TABLE a RENAME COLUMN b TO c", ["renames"]),
        ("ALTER TABLE a RENAME TO b", ["renames"]),
        ("ALTER TABLE a ALTER COLUMN b TYPE bigint", ["changes a type"]),
        ("ALTER TABLE a ALTER b SET DATA TYPE text", ["changes a type"]),
        ("ALTER TABLE a ALTER b SET NOT NULL", ["demands a value that older writers do not give"]),
        ("ALTER TABLE a ADD COLUMN b text NOT NULL", ["demands a value that older writers do not give"]),
        ("ALTER TABLE a ADD b text NOT NULL DEFAULT ''", []),
        ("ALTER TABLE a ADD COLUMN b text", []),
        (
            "ALTER TABLE a ADD COLUMN b text, ADD COLUMN c text NOT NULL",
            ["demands a value that older writers do not give"],
        ),
        ("CREATE TABLE a (b text NOT NULL)", []),
        ("ALTER TABLE a DROP CONSTRAINT b", []),
        ("DROP INDEX a", []),
        ("SELECT 'DROP TABLE a' -- DROP TABLE a", []),
        ("CREATE FUNCTION a() AS $$ BEGIN DROP TABLE b; END $$", []),
        ("-- contracts: no release since 0.3 reads it\nDROP TABLE a; ALTER TABLE b RENAME TO c", ["renames"]),
    ],
)
def test_what_would_break_the_release_before_is_found(sql: str, rules: list[str]) -> None:
    assert broken_rules(sql) == rules
