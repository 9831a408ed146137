"""Ids and texts that people write: one rule each, in contracts, configuration files and clients alike."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import protovalidate
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from ridehail._third_party.buf.validate import validate_pb2
from ridehail.common.v1 import rules_pb2
from ridehail.eulas.v1.eulas_pb2 import EulaDecision
from ridehail.family.v1.family_pb2 import FamilyAdmin
from ridehail_kernel.text_rules import is_id, is_written_text
from ridehail_servers.chassis.localized_texts import Titles
from ridehail_servers.chassis.text_rules import Id, Name
from ridehail_servers.toll_roads.retention.durability import sync_commit
from tests.support.calls import rpcs

# No plane but the first has any.
SEPARATORS = [one for one in map(chr, range(0x10000)) if unicodedata.category(one).startswith("Z") and one != " "]
OVERRIDES = [chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))]
CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]
WRITTEN = ["\u200c", "\u200d", "\u200e", "\u200f", "\u061c", "\xad", "\u0301", "\ufe0f", "\u3000", "ß", "ක"]
# What both sides have in their tables of Unicode, and what strings of UTF-8 can hold.
CHARACTERS = st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=6) | st.text(
    st.sampled_from(
        [*SEPARATORS, *OVERRIDES, *CONTROLS, *WRITTEN, " ", "a", "\u2061", "\ufffe", "\ufdd0", "\U000f0000"]
    ),
    max_size=6,
)


def is_valid_id(value: str) -> bool:
    return not protovalidate.collect_violations(EulaDecision(eula_id=value, status="accepted"))


def is_valid_name(value: str) -> bool:
    return not protovalidate.collect_violations(FamilyAdmin(yandex_uid="1", name=value))


@given(CHARACTERS)
def test_clients_and_files_judge_as_the_contracts_do(value: str) -> None:
    assert is_id(value) == is_valid_id(value)
    assert is_written_text(value) == is_valid_name(value)
    for kind in (Id, Name):
        assert is_id(value) == accepts(kind, value)


def test_an_id_is_one_line_of_printable_characters() -> None:
    for bad in (*SEPARATORS, *OVERRIDES, *CONTROLS, "\u200c", "\u200d", "\u200e", "\xad", "\ufeff"):
        for value in (f"a{bad}b", bad):
            assert not is_valid_id(value), ascii(bad)
            assert not is_id(value), ascii(bad)


def test_a_text_has_no_controls_overrides_and_isolates() -> None:
    for bad in [*OVERRIDES, *CONTROLS, "\u2028", "\u2029", "\u200b", "\ufeff", "\ue000"]:
        assert not is_valid_name(f"a{bad}b"), ascii(bad)
        assert not accepts(Titles, {"en": f"a{bad}b"}) or bad == "\n", ascii(bad)


@pytest.mark.parametrize("good", WRITTEN, ids=ascii)
def test_a_text_has_what_scripts_need(good: str) -> None:
    assert is_valid_name(f"a{good}b")
    assert accepts(Titles, {"en": f"a{good}b"})


def accepts(kind: Any, value: object) -> bool:
    try:
        TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return False
    return True


# --- every text of every request

# Texts that are neither ids nor names: what an app may send as it likes, headers, and agreements with their lines.
OPAQUE = {
    "ridehail.eulas.v1.Agreement.text",
    "ridehail.eulas.v1.Agreement.title",
    "ridehail.orderstate.v1.KnownOrder.status",
    "ridehail.orderstate.v1.KnownOrder.tags",
    "ridehail.orderstate.v1.PollOrdersStateRequest.tags",
    "ridehail.eulas.v1.ListEulasRequest.locale",
    "ridehail.inapp.v1.PromosOnTheWayRequest.locale",
}
# What services answer to each other; judged by whoever reads it.
ANSWERED = {
    "ridehail.orderprovider.v1.ActiveOrder",
    "ridehail.orderstate.v1.Upstream",
}
WRITTEN_BY_PEOPLE = {
    f"ridehail.family.v1.{name}.name"
    for name in ("FamilyAdmin", "InviteRequest", "PassengerFamilyServiceCreateFamilyRequest", "RenameOwnerRequest")
}
ID_OR_NOTHING = "^( |[^\\p{C}\\p{Z}])*$"


def texts(message: Descriptor, seen: set[str]) -> Iterator[FieldDescriptor]:
    """Yields the text fields of a request, those of its parts included."""
    if message.full_name in seen or message.full_name in ANSWERED:
        return
    seen.add(message.full_name)
    for field in message.fields:
        inner = field.message_type
        if inner is not None and inner.GetOptions().map_entry:
            if inner.fields_by_name["value"].type == FieldDescriptor.TYPE_STRING:
                yield field
        elif inner is not None and inner.file.package.startswith("ridehail."):
            yield from texts(inner, seen)
        elif field.type == FieldDescriptor.TYPE_STRING:
            yield field


def rules_of(field: FieldDescriptor) -> Any:
    rules = field.GetOptions().Extensions[validate_pb2.field]
    kind = rules.WhichOneof("type")
    return (
        rules.repeated.items.string
        if kind == "repeated"
        else rules.map.values.string
        if kind == "map"
        else rules.string
    )


def kind_of(field: FieldDescriptor) -> str:
    rules = rules_of(field)
    if rules.HasExtension(rules_pb2.written_text):
        return "written"
    if rules.HasExtension(rules_pb2.id) or rules.HasExtension(rules_pb2.field_path) or rules.pattern == ID_OR_NOTHING:
        return "id"
    # Digits, or one of a list.
    return "closed" if getattr(rules, "in") or rules.pattern.startswith(("^[1-9]", "^(0|[1-9]")) else "open"


def test_every_text_of_every_request_is_an_id_or_one_that_people_write() -> None:
    seen: set[str] = set()
    kinds: dict[str, set[str]] = {}
    for rpc in rpcs():
        request = rpc.method.input_type
        if request.file.package.startswith("ridehail."):
            for field in texts(request, seen):
                kinds.setdefault(kind_of(field), set()).add(field.full_name)
    assert len(kinds["id"]) > 50
    assert kinds["written"] == WRITTEN_BY_PEOPLE
    assert kinds.get("open", set()) == OPAQUE


# --- who reads lines


def test_a_commit_of_the_archive_is_read_whatever_its_ids_hold(tmp_path: Path) -> None:
    (tmp_path / "_delta_log").mkdir()
    (tmp_path / "rows.parquet").write_bytes(b"rows")
    order = "a\u2028b\u2029c\x85d"
    actions = [
        {"commitInfo": {"predicate": order}},
        {"add": {"path": "rows.parquet", "stats": json.dumps({"minValues": {"order_id": order}}, ensure_ascii=False)}},
    ]
    lines = "".join(json.dumps(action, ensure_ascii=False) + "\n" for action in actions)
    (tmp_path / "_delta_log" / f"{0:020}.json").write_text(lines, encoding="utf-8")
    sync_commit(tmp_path.as_uri(), 0)
    (tmp_path / "rows.parquet").unlink()
    with pytest.raises(FileNotFoundError):  # so the file was looked for
        sync_commit(tmp_path.as_uri(), 0)
