"""A mock write answers as a real one does, and leaves nothing behind at all."""

from __future__ import annotations

from typing import Any

from ridehail_kernel.json_values import to_struct
from tests.personal_state_backend.backends import BackEnd, by_category

MOCK = "x-ya-mock-write-request"
UPDATES: list[tuple[Any, ...]] = [
    ("1", "vip"),
    ("1", "", {"econom": {"b": [1, 2]}}),
    ("1", None, {f"tariff-{number}": {"a": number} for number in range(100)}),
    ("1",),
    # What is refused is refused alike.
    ("0", "vip"),
    ("1", None, {"econom": {"long": "x" * 70_000}}),
    ("1", None, {"econom": {"nul": "\0"}}),
]


async def outcome(back_end: BackEnd, *update: Any, uid: str = "400", mock: bool) -> Any:
    try:
        return await back_end.update(*update, uid=uid, mock=mock)
    except Exception as error:  # whatever it is, both must be the same
        return type(error), getattr(error, "metadata", None), getattr(error, "violations", None)


async def test_a_mock_write_returns_the_result_and_changes_no_table_and_no_sequence(
    back_end: BackEnd,
) -> None:
    for number, update in enumerate(UPDATES):
        uid = f"user-{number}"
        await back_end.update("0", "econom", {"econom": {"a": 1}, "vip": {}}, uid=uid)
        before = await back_end.everything()

        mocked = await outcome(back_end, *update, uid=uid, mock=True)

        assert await back_end.everything() == before
        assert (await back_end.get(uid)).revision_id == "1"
        assert await outcome(back_end, *update, uid=uid, mock=False) == mocked


async def test_a_mock_of_a_first_write_leaves_no_row(back_end: BackEnd) -> None:
    before = await back_end.everything()
    for _ in range(3):
        answer = await back_end.update("0", "econom", {"econom": {"a": 1}}, mock=True)
        assert (answer.revision_id, by_category(answer.tariffs)) == ("1", {"econom": {"a": 1}})
    assert await back_end.everything() == before
    assert await back_end.copies() == ()


async def test_any_value_but_an_empty_one_makes_a_write_a_mock(back_end: BackEnd) -> None:
    request = back_end.api.UpdatePersonalStateRequest(
        yandex_uid="400", revision_id="0", tariffs=[{"category": "a", "requirements": to_struct({})}]
    )
    for value in ("1", "false", "0", "true"):
        await back_end.raw("UpdatePersonalState", request, (MOCK, value))
        assert await back_end.copies() == ()
    await back_end.raw("UpdatePersonalState", request, (MOCK, ""))
    assert len(await back_end.copies()) == 1


async def test_concurrent_mock_and_real_writes_do_not_interfere(back_end: BackEnd) -> None:
    await back_end.update("0", "econom")
    for revision in range(1, 6):
        await back_end.update(str(revision), "mocked", mock=True)
        assert (await back_end.update(str(revision), "real")).revision_id == str(revision + 1)
    assert (await back_end.get()).selected_category == "real"
