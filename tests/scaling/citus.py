"""The statements that distribute migrated schemas over the nodes of Citus."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.scaling.placement import placements
from tests.scaling.table_rules import TableRules

_HEAD = """\
-- Distributes the tables of migrated schemas over the nodes of Citus 14 or newer, by deploy/citus/tables.yaml.
-- Written by `make docs-scaling`; docs/scaling.md says what changes with it, and what it takes besides.
"""


def statements(tables: Sequence[TableRules], whole_foreign_keys: Sequence[tuple[str, str, str]]) -> str:
    """Returns the script, schema by schema.

    Args:
        tables: The distributed tables.
        whole_foreign_keys: Those of reference tables, which are made again: table, name, definition.
    """
    schemas = dict.fromkeys(schema for schema, _ in placements())
    return _HEAD + "".join(
        f"\n-- {schema}\n\n" + "".join(f"{line}\n" for line in _of_schema(schema, tables, whole_foreign_keys))
        for schema in schemas
    )


def _of_schema(
    schema: str, tables: Sequence[TableRules], whole_foreign_keys: Sequence[tuple[str, str, str]]
) -> Iterator[str]:
    own = [table for table in tables if table.schema == schema]
    foreign_keys = [(table.name, *one) for table in own for one in table.foreign_keys.items()]
    foreign_keys += [one for one in whole_foreign_keys if one[0].startswith(f"{schema}.")]
    # They can be neither kept nor made while only one of the two tables is distributed.
    for name, constraint, _ in foreign_keys:
        yield f"ALTER TABLE {name} DROP CONSTRAINT {constraint};"
    for table in own:
        for change in table.changes:
            yield f"ALTER TABLE {table.name} DROP CONSTRAINT {change.name};"
            if change.after:
                yield f"ALTER TABLE {table.name} ADD CONSTRAINT {change.name} {change.after};"
        for trigger in table.triggers:
            yield f"DROP TRIGGER {trigger} ON {table.name};"
    for (of, table_name), placement in placements().items():
        if of == schema and placement.kind == "reference":
            yield f"SELECT create_reference_table('{of}.{table_name}');"
    first: dict[str, str] = {}
    for table in own:
        key = table.placement.key
        yield (
            f"SELECT create_distributed_table('{table.name}', '{key}', colocate_with => '{first.get(key, 'none')}');"
        )
        first.setdefault(key, table.name)
    for name, constraint, definition in foreign_keys:
        yield f"ALTER TABLE {name} ADD CONSTRAINT {constraint} {definition};"
