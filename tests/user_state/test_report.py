"""`ridehail shadow report`: its figures, its places and samples, and that it shows no value."""

from __future__ import annotations

import asyncio
import json
import subprocess
from datetime import timedelta
from typing import Any

import pytest

from ridehail_clients import ComparedKind
from ridehail_servers.command_line.options import UsageError
from ridehail_servers.command_line.shadow import _period
from ridehail_servers.user_state.json_comparison import Kind, Verdict
from ridehail_servers.user_state.report import Totals, totals_of, wilson
from tests.support.command_line import ridehail
from tests.user_state.comparing import Comparing

WRITE = ComparedKind.WRITE


# Of R's binom.confint(method = "wilson"), rounded to four places.
@pytest.mark.parametrize(
    ("successes", "trials", "lowest", "highest"),
    [
        (0, 10, 0.0, 0.2775),
        (1, 10, 0.0179, 0.4042),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (10, 100, 0.0552, 0.1744),
        (0, 1000, 0.0, 0.0038),
        (3, 1_000_000, 0.0, 0.0),
    ],
)
def test_the_bounds_are_wilsons(successes: int, trials: int, lowest: float, highest: float) -> None:
    rate = wilson(successes, trials)
    assert rate is not None
    assert rate.share == successes / trials
    assert (round(rate.lowest, 4), round(rate.highest, 4)) == (lowest, highest)
    assert 0 <= rate.lowest <= rate.share <= rate.highest <= 1


def test_without_comparisons_there_is_no_rate() -> None:
    assert wilson(0, 0) is None
    assert Totals(equal=0, different=0, behind=7).rate() is None


def test_responses_of_different_revisions_do_not_count_in_the_rate() -> None:
    totals = totals_of(
        {(Kind.READ, Verdict.EQUAL): 9, (Kind.READ, Verdict.DIFFERENT): 1, (Kind.READ, Verdict.BEHIND): 90}
    )
    assert totals[Kind.READ].rate() == wilson(1, 10)
    assert totals[Kind.WRITE] == Totals(0, 0, 0)


async def report(comparing: Comparing, *arguments: str) -> subprocess.CompletedProcess[str]:
    url = comparing.suite.database_url
    return await asyncio.to_thread(ridehail, "shadow", "report", "--database-url", url, *arguments)


async def test_the_report_has_rates_places_and_samples_and_no_value(comparing: Comparing) -> None:
    for number in range(8):
        await comparing.compare(number, number)
    tariff = {"category": "a", "requirements": {"nosmoking": True, "childchair": [1, 2]}}
    planted = {"category": "a", "requirements": {"nosmoking": "canary", "childchair": [1, 2]}}
    for place in range(2):
        padding: list[Any] = [{"category": f"p{number}"} for number in range(place)]
        await comparing.compare(
            {"tariffs": [*padding, tariff]}, {"tariffs": [*padding, planted]}, request_id=f"request-{place}"
        )
    await comparing.compare({"revision_id": "2"}, {"revision_id": "1"})
    await comparing.compare({"a": 1}, {"a": "canary"}, kind=WRITE, statuses=(200, 409), request_id="of-a-write")
    await comparing.suite.execute("UPDATE user_state.mismatches SET at = '2026-11-20T12:00:00Z' WHERE kind = 'write'")
    await comparing.suite.execute(
        "UPDATE user_state.comparisons SET minute = '2026-11-20T12:00:00Z' WHERE kind = 'write'"
    )

    since_ever = await report(comparing, "--since", "9999d", "--json")
    assert since_ever.returncode == 0, since_ever.stderr
    found = json.loads(since_ever.stdout)
    rate = wilson(2, 10)
    assert rate is not None
    assert found["totals"]["read"] == {
        "equal": 8,
        "different": 2,
        "behind": 1,
        "rate": {"share": 0.2, "lowest": rate.lowest, "highest": rate.highest},
    }
    assert found["totals"]["write"]["different"] == 1
    assert found["kept"] == 3
    assert found["places"] == [
        {"kind": "read", "path": "/tariffs/*/requirements/nosmoking", "mismatches": 2},
        {"kind": "write", "path": "(status)", "mismatches": 1},
        {"kind": "write", "path": "/a", "mismatches": 1},
    ]
    assert [sample["request_id"] for sample in found["samples"]] == ["of-a-write", "request-1", "request-0"]
    assert found["samples"][1]["differences"] == [
        {"path": "/tariffs/1/requirements/nosmoking", "old_type": "boolean", "new_type": "string"}
    ]

    printed = await report(comparing)
    assert printed.returncode == 0, printed.stderr
    assert "read: equal=8 different=2 behind=1; 20.0000% differ (95 %: 5.6682% to 50.9838%)" in printed.stdout
    assert "write: equal=0 different=0 behind=0\n" in printed.stdout
    assert "      2  read  /tariffs/*/requirements/nosmoking\n" in printed.stdout
    assert "request request-1\n    /tariffs/1/requirements/nosmoking: boolean -> string" in printed.stdout
    assert "of-a-write" not in printed.stdout
    assert "canary" not in printed.stdout + since_ever.stdout


@pytest.mark.parametrize("text", ["", "1", "h", "0h", "-1h", "1.5h", "1w", "100000d", "\u0661h", "1h "])
def test_an_invalid_period_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--since takes minutes, hours or days"):
        _period(text)


def test_a_period_is_minutes_hours_or_days() -> None:
    assert [_period(text) for text in ("30m", "1h", "99999d")] == [
        timedelta(minutes=30),
        timedelta(hours=1),
        timedelta(days=99_999),
    ]
