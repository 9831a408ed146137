"""Experiments: who takes part, and how a bad file is refused."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from ridehail_servers import resources
from ridehail_servers.chassis.config import ConfigError
from ridehail_servers.chassis.experiments import Experiments
from ridehail_servers.chassis.live_config import watch
from tests.support.log_capture import LogCapture
from tests.support.waiting import until

UIDS = [str(4_000_000_000 + number) for number in range(2000)]


def flag(targeting: object = None, *, default: str = "off", state: str = "ENABLED") -> dict[str, Any]:
    return {
        "state": state,
        "variants": {"on": True, "off": False},
        "defaultVariant": default,
        **({} if targeting is None else {"targeting": targeting}),
    }


def share(percent: int) -> dict[str, Any]:
    return flag({"fractional": [["on", percent], ["off", 100 - percent]]})


def experiments(file: Path, **flags: Any) -> Experiments:
    file.write_text(json.dumps({"flags": flags}))
    return Experiments(file)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "flags.json"


def members(known: Experiments, name: str, uids: Sequence[str] = UIDS) -> set[str]:
    return {uid for uid in uids if known.enabled(name, passenger=uid)}


# --- who takes part


def test_the_shipped_file_can_be_read() -> None:
    assert not Experiments(resources.folder("config") / "flags.json").enabled("any", passenger="uid")


@pytest.mark.parametrize(
    ("definition", "takes_part"),
    [
        (flag(default="on"), True),
        (flag(), False),
        (flag(default="on", state="DISABLED"), False),
        (flag({"if": [{"in": [{"var": "targetingKey"}, ["uid", "other"]]}, "on", "off"]}), True),
        (flag({"if": [{"in": [{"var": "targetingKey"}, ["other"]]}, "on", "off"]}), False),
    ],
)
def test_a_flag_decides_who_takes_part(file: Path, definition: dict[str, Any], takes_part: bool) -> None:
    assert experiments(file, road=definition).enabled("road", passenger="uid") is takes_part


def test_an_unknown_experiment_is_off(file: Path) -> None:
    assert not experiments(file, road=flag(default="on")).enabled("raod", passenger="uid")


def test_a_share_is_about_as_large_as_it_says(file: Path) -> None:
    known = experiments(file, road=share(30))
    assert 0.25 < len(members(known, "road")) / len(UIDS) < 0.35


def test_a_passenger_stays_in_or_out(file: Path) -> None:
    first = members(experiments(file, road=share(30)), "road")
    assert members(experiments(file, road=share(30)), "road") == first  # another process, another day


@given(shares=st.lists(st.integers(0, 100), min_size=2, max_size=6).map(sorted))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_who_is_in_stays_in_while_the_share_grows(file: Path, shares: list[int]) -> None:
    grown = [members(experiments(file, road=share(percent)), "road", UIDS[:200]) for percent in shares]
    assert all(earlier <= later for earlier, later in itertools.pairwise(grown))


def test_experiments_pick_their_passengers_independently(file: Path) -> None:
    known = experiments(file, road=share(50), price=share(50))
    both = members(known, "road") & members(known, "price")
    assert 0.2 < len(both) / len(UIDS) < 0.3


def test_a_rule_that_trips_over_a_passenger_leaves_them_out(file: Path, log: LogCapture) -> None:
    tripping = {"if": [{"==": [{"var": "targetingKey"}, "odd"]}, {"no such operation": 1}, "on"]}
    known = experiments(file, road=flag(tripping))
    assert known.enabled("road", passenger="even")
    assert not known.enabled("road", passenger="odd")
    assert log.events("experiment not evaluated")[0]["experiment"] == "road"
    assert "odd" not in log.text


# --- other kinds of flags, which flagd's language has as well

OTHER_KINDS: dict[str, object] = {
    "text": {"state": "ENABLED", "variants": {"red": "#f00", "blue": "#00f"}, "defaultVariant": "red"},
    "number": {"state": "ENABLED", "variants": {"one": 1, "half": 0.5, "zero": 0}, "defaultVariant": "zero"},
    "object": {"state": "ENABLED", "variants": {"all": {"a": [1]}, "nothing": {}}, "defaultVariant": "all"},
    "mixed": {"state": "ENABLED", "variants": {"on": True, "off": "no"}, "defaultVariant": "on"},
    "without default": {"state": "ENABLED", "variants": {"a": "b"}, "defaultVariant": None},
    "switched off": {"state": "DISABLED", "variants": {"a": "b"}, "defaultVariant": "a"},
    "with metadata": {"state": "ENABLED", "variants": {"a": "b"}, "metadata": {"owner": "x", "version": 2}},
    "by a rule of its own": {
        "state": "ENABLED",
        "variants": {"old": "1", "new": "2"},
        "defaultVariant": "old",
        "targeting": {"if": [{"sem_ver": [{"var": "app"}, ">=", "2.0.0"]}, "new", {"fractional": [["old", 1]]}]},
    },
    "by a rule that is none": {
        "state": "ENABLED",
        "variants": {"one": 1},
        "defaultVariant": "one",
        "targeting": {"nonsense": ["of somebody else"]},
    },
}


@pytest.mark.parametrize("other", OTHER_KINDS.values(), ids=OTHER_KINDS.keys())
def test_a_flag_of_another_kind_stands_beside_experiments_and_is_off(
    file: Path, log: LogCapture, other: object
) -> None:
    known = experiments(file, road=flag(default="on"), colour=other)
    assert known.enabled("road", passenger="uid")
    assert not known.enabled("colour", passenger="uid")
    assert not known.enabled("colour", passenger="other")
    told = log.events("a flag that is not boolean is no experiment: it is off")
    assert [(line["level"], line["experiment"]) for line in told] == [("warning", "colour")]


def test_an_experiment_may_have_no_default_which_is_off(file: Path) -> None:
    assert not experiments(file, road=flag() | {"defaultVariant": None}).enabled("road", passenger="uid")


def test_flags_may_be_a_list(file: Path) -> None:
    file.write_text(json.dumps({"flags": [{"key": "road", **flag(default="on")}, {"key": "price", **flag()}]}))
    known = Experiments(file)
    assert [known.enabled(name, passenger="uid") for name in ("road", "price")] == [True, False]


def test_rules_may_be_shared_whatever_texts_they_hold(file: Path) -> None:
    rules = {
        "of the house": {"in": [{"var": "targetingKey"}, ["d\u00e9j\u00e0", "back\\slash", "uid"]]},
        "by turns": {"if": [{"$ref": "of the house"}, "on", "off"]},
    }
    content = {"$evaluators": rules, "metadata": {"version": "7"}, "flags": {"road": flag({"$ref": "by turns"})}}
    file.write_text(json.dumps(content))
    known = Experiments(file)
    assert [known.enabled("road", passenger=uid) for uid in ("uid", "back\\slash", "other")] == [True, True, False]


# --- bad files

BAD_FILES = {
    "no JSON": ("{", "", "property name"),
    "empty": ("", "", "Expecting value"),
    "too deep": ("[" * 3000, "", "recursion"),
    "a list": ("[]", "flags", "must be an object"),
    "no flags": ("{}", "flags", "must be an object"),
    "misspelt": ('{"flgas": {}}', "flags", "must be an object"),
    "flags as a text": ('{"flags": "road"}', "flags", "must be an object"),
    "a flag that is a number": ('{"flags": {"road": 1}}', "flags.road", "not a flagd definition"),
    "a flag that is null": ('{"flags": {"road": null}}', "flags.road", "not a flagd definition"),
    "no state": ('{"flags": {"road": {"variants": {"on": true}}}}', "flags.road", "state"),
    "an unknown state": (json.dumps({"flags": {"road": flag(state="ON")}}), "flags.road", "state"),
    "an unknown key": (
        json.dumps({"flags": {"road": flag() | {"defaultVariants": 1}}}),
        "flags.road",
        "defaultVariants",
    ),
    "an unknown variant": (json.dumps({"flags": {"road": flag(default="maybe")}}), "flags.road", "maybe"),
    "a rule that is not there": (json.dumps({"flags": {"road": flag({"$ref": "x"})}}), "flags.road", "has no 'x'"),
    "a rule that holds itself": (
        json.dumps({"$evaluators": {"x": {"if": [{"$ref": "x"}]}}, "flags": {"road": flag({"$ref": "x"})}}),
        "flags.road",
        "'x' holds itself",
    ),
    "a flag in a list without a key": (json.dumps({"flags": [flag()]}), "flags.0", "with a `key`"),
    "a flag twice in a list": (json.dumps({"flags": [{"key": "road", **flag()}] * 2}), "flags.1", "given twice"),
    "an unknown operation": (json.dumps({"flags": {"road": flag({"fractal": [["on", 1]]})}}), "flags.road", "fractal"),
}


@pytest.mark.parametrize(("content", "key", "reason"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_with_file_key_and_reason(file: Path, content: str, key: str, reason: str) -> None:
    file.write_text(content)
    with pytest.raises(ConfigError) as caught:
        Experiments(file)
    assert caught.value.file == file
    assert caught.value.key == key
    assert reason in caught.value.reason


def test_a_missing_file_is_refused_by_name(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"flags\.json: No such file"):
        Experiments(file)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["if", "fractional", "var", "==", "state", "variants", "x"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)


@given(targeting=json_values, rest=json_values)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_file_holds_it_is_refused_or_can_be_asked(file: Path, targeting: object, rest: object) -> None:
    for content in (rest, {"flags": rest}, {"flags": {"road": rest}}, {"flags": {"road": flag(targeting)}}):
        file.write_text(json.dumps(content))
        try:
            known = Experiments(file)
        except ConfigError:
            continue
        assert known.enabled("road", passenger="uid") in {True, False}


async def test_a_bad_edit_changes_nothing_and_its_repair_takes_effect(file: Path, log: LogCapture) -> None:
    known = experiments(file, road=flag(default="on"))
    watcher = asyncio.create_task(watch([known], look_every_s=0.02))

    def is_invalid() -> bool:
        return REGISTRY.get_sample_value("ridehail_config_invalid", {"file": "flags.json"}) == 1

    file.write_text('{"flags": {"road": {}}}')
    await until(lambda: [line for line in log.events("configuration refused") if line["key"] == "flags.road"])
    assert is_invalid()
    assert known.enabled("road", passenger="uid")

    file.write_text(json.dumps({"flags": {"road": flag()}}))
    await until(lambda: not known.enabled("road", passenger="uid"))
    assert not is_invalid()
    watcher.cancel()
