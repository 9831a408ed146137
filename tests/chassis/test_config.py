"""Configuration files: refused with a reason, changed without a restart."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import BaseModel, ConfigDict, Field

from ridehail_servers import suite
from ridehail_servers.chassis import app
from ridehail_servers.chassis.config import ConfigError, load
from ridehail_servers.chassis.live_config import LiveConfig, watch
from ridehail_servers.chassis.settings import ProcessSettings
from tests.support.log_capture import LogCapture
from tests.support.waiting import until


class Limits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: int = Field(ge=1)
    names: list[str] = []


class Polling(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    limits: Limits
    since: object = None


LOOK_EVERY_S = 0.02
GOOD = "limits: {calls: 1}\n"
BAD_FILES = {
    "unknown key": ("limits: {calls: 1, cals: 2}", "limits.cals", "Extra inputs are not permitted"),
    "missing key": ("limits: {}", "limits.calls", "Field required"),
    "wrong type": ("limits: {calls: many}", "limits.calls", "valid integer"),
    "out of range": ("limits: {calls: 0}", "limits.calls", "greater than or equal to 1"),
    "element of a list": ("limits: {calls: 1, names: [a, {}]}", "limits.names.1", "valid string"),
    "empty": ("", "limits", "Field required"),
    "a list": ("[1, 2]", "", "valid dictionary"),
    "no YAML": ("limits: {calls: 1", "", "line 1"),
    "a tab": ("limits:\n\tcalls: 1", "", "line 2"),
    "an impossible date": ("limits: {calls: 1}\nsince: 2026-02-30", "since", "day is out of range"),
    "an object of Python": (
        "limits: !!python/object/apply:os.getcwd []",
        "limits",
        "could not determine a constructor",
    ),
    "a key given twice": ("limits: {calls: 1, calls: 2}", "limits", "line 1: 'calls' is given twice"),
    "a template that nobody has filled in": ("limits: {{ .Values.limits }}", "limits", "line 1: a key must be a text"),
    "a template among the keys": ("{{ .Values.limits }}: {calls: 1}", "", "line 1: a key must be a text"),
    "a list as a key": ("limits: {calls: 1}\n? [a]\n: 1", "", "line 2: a key must be a text"),
    "no boolean": ("limits: {calls: !!bool maybe}", "limits.calls", "line 1: 'maybe' is no bool"),
    "no number": ("limits: {calls: !!int ''}", "limits.calls", "line 1: '' is no int"),
    "no float": ("limits: {calls: !!float ''}", "limits.calls", "line 1: '' is no float"),
    "no timestamp": ("limits: {calls: 1}\nsince: !!timestamp foo", "since", "line 2: 'foo' is no timestamp"),
    "no base64": ("limits: {calls: 1}\nsince: !!binary \u00ff", "since", "line 2:"),
    "an unknown alias": ("limits: *nobody", "", "nobody"),
    "a text for a mapping": ("limits: !!map x", "limits", "line 1:"),
    "a structure that holds itself": ("limits: &it {calls: 1, names: [*it]}", "limits.names.0", "refers to itself"),
    "two documents": ("limits: {calls: 1}\n---\nlimits: {calls: 2}", "", "single document"),
    "a control character": ("limits: {calls: 1}\x00", "", "special characters"),
    "an endless number": (f"limits: {{calls: {'9' * 5000}}}", "limits.calls", "line 1:"),
    "too deep": ("[" * 1200, "", "recursion"),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "config"
    folder.mkdir()
    file = folder / "polling.yaml"
    file.write_text(GOOD)
    return file


def is_invalid() -> bool:
    return REGISTRY.get_sample_value("ridehail_config_invalid", {"file": "polling.yaml"}) == 1


# --- reading


@pytest.mark.parametrize(("content", "key", "reason"), BAD_FILES.values(), ids=BAD_FILES.keys())
def test_a_bad_file_is_refused_with_file_key_and_reason_and_no_such_edit_gets_through(
    file: Path, content: str, key: str, reason: str
) -> None:
    config = LiveConfig(file, Polling)
    before = config.value
    file.write_text(content)
    assert not config.reload()
    assert config.value is before
    with pytest.raises(ConfigError) as caught:
        load(file, Polling)
    assert caught.value.file == file
    assert caught.value.key == key
    assert reason in caught.value.reason
    assert str(caught.value).startswith(f"{file}: {key}")
    assert str(caught.value).isprintable()
    file.write_text(GOOD)
    assert config.reload()


CONSTRUCTORS = sorted(tag for tag in yaml.SafeLoader.yaml_constructors if tag)
scalars = st.text(max_size=8).map(json.dumps) | st.sampled_from(["", "~", "1", "[]", "{}", "{a: 1}", "2026"])


@given(tag=st.sampled_from(CONSTRUCTORS), value=scalars, as_key=st.booleans())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_a_constructor_is_given_is_read_or_refused_in_one_line(
    file: Path, tag: str, value: str, as_key: bool
) -> None:
    part = f"!<{tag}> {value}"
    file.write_text(f"limits: {{calls: 1}}\n? {part}\n: 1" if as_key else f"limits: {{calls: 1}}\nsince: {part}")
    is_read_or_refused(file)


@given(
    content=st.binary(max_size=60) | st.text(alphabet="-?:,[]{}#&*!|>'\"%@` \n\tabc10<=.~", max_size=60).map(str.encode)
)
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_whatever_the_bytes_of_a_file_are_they_are_read_or_refused_in_one_line(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    is_read_or_refused(file)


def is_read_or_refused(file: Path) -> None:
    try:
        load(file, Polling)
    except ConfigError as error:
        refused = error
    else:
        return
    assert refused.file == file
    assert refused.reason
    assert str(refused).isprintable()


def test_a_pipe_in_the_place_of_a_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match=r"pipe\.yaml: not a regular file"):
        load(tmp_path / "pipe.yaml", Polling)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.yaml: No such file"):
        load(tmp_path / "missing.yaml", Polling)


def test_a_folder_in_the_place_of_a_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"directory"):
        load(tmp_path, Polling)


def test_a_file_that_is_no_text_is_refused_by_name(file: Path) -> None:
    file.write_bytes(b"limits: \xff\xfe")
    with pytest.raises(ConfigError, match=r"polling\.yaml: .*utf-8"):
        load(file, Polling)


BAD_START = [
    ("server.yaml", "pool: {max_sise: 3}", "server.yaml: pool.max_sise"),
    ("access.yaml", "callers: 1", "access.yaml: callers"),
    ("toll_roads.yaml", "retrieve_by: luck", "toll_roads.yaml: retrieve_by"),
    ("flags.json", "{", "flags.json"),
]


@pytest.mark.parametrize("bad", BAD_START, ids=lambda bad: bad[0])
async def test_a_bad_file_stops_the_start(
    database_url: str, keys_dir: Path, config_dir: Path, bad: tuple[str, str, str]
) -> None:
    name, content, message = bad
    (config_dir / name).write_text(content)
    settings = ProcessSettings(
        services=("toll-roads",),
        config_dir=config_dir,
        keys_dir=keys_dir,
        database_urls={"toll-roads": database_url},
        addresses={"order-core": "127.0.0.1:1"},
    )
    with pytest.raises(ConfigError) as caught:
        async with app.build([suite.SERVICES["toll-roads"]], settings):
            pass
    assert message in str(caught.value)


# --- changing


def write(file: Path, content: str) -> None:
    file.write_text(content)


def replace(file: Path, content: str) -> None:
    """What editors do."""
    other = file.with_name(".polling.yaml.swp1")
    other.write_text(content)
    other.replace(file)


def swap_folder(file: Path, content: str) -> None:
    """What Kubernetes does with a mounted ConfigMap: files are links into a folder that is itself a link."""
    folder = file.parent
    fresh = folder / f"..{os.urandom(4).hex()}"
    fresh.mkdir()
    (fresh / file.name).write_text(content)
    (folder / "..data_tmp").symlink_to(fresh.name)
    (folder / "..data_tmp").replace(folder / "..data")


@asynccontextmanager
async def watched(file: Path) -> AsyncIterator[LiveConfig[Polling]]:
    """Watches the file for real, for the length of the block."""
    config = LiveConfig(file, Polling)
    watcher = asyncio.create_task(watch([config], look_every_s=LOOK_EVERY_S))
    try:
        yield config
    finally:
        watcher.cancel()
        await asyncio.gather(watcher, return_exceptions=True)


@pytest.mark.parametrize("change", [write, replace, swap_folder])
async def test_an_edit_takes_effect_a_bad_one_changes_nothing_and_its_repair_takes_effect(
    file: Path, log: LogCapture, change: Callable[[Path, str], None]
) -> None:
    if change is swap_folder:
        file.unlink()
        file.symlink_to(f"..data/{file.name}")
        swap_folder(file, GOOD)
    async with watched(file) as config:
        change(file, "limits: {calls: 2}")
        await until(lambda: config.value.limits.calls == 2)
        assert not is_invalid()

        change(file, "limits: {calls: none}")
        # A file that is written in place may be read when it is still empty, and then again.
        await until(lambda: [line for line in log.events("configuration refused") if line["key"] == "limits.calls"])
        refused = log.events("configuration refused")[-1]
        assert (refused["level"], refused["file"]) == ("error", str(file))
        assert "valid integer" in refused["reason"]
        assert is_invalid()
        assert config.value.limits.calls == 2

        change(file, "limits: {calls: 3}")
        await until(lambda: config.value.limits.calls == 3)
        assert not is_invalid()


async def test_a_file_that_is_removed_and_comes_back_is_read_again(file: Path) -> None:
    async with watched(file) as config:
        file.unlink()
        await until(is_invalid)
        assert config.value.limits.calls == 1
        file.write_text("limits: {calls: 2}")
        await until(lambda: config.value.limits.calls == 2)


async def test_an_edit_between_the_start_and_the_watch_is_not_missed(file: Path) -> None:
    config = LiveConfig(file, Polling)
    file.write_text("limits: {calls: 2}")
    watcher = asyncio.create_task(watch([config], look_every_s=LOOK_EVERY_S))
    await until(lambda: config.value.limits.calls == 2)
    watcher.cancel()


class EditedMeanwhile(LiveConfig[Polling]):
    """Reads, the first time, an edit that came after the look and is reverted before the next one."""

    is_edited = False

    def reload(self) -> bool:
        if self.is_edited:
            return super().reload()
        self.file.write_text("limits: {calls: 2}")
        try:
            return super().reload()
        finally:
            self.file.write_text(GOOD)
            self.is_edited = True


async def test_a_file_that_was_edited_between_look_and_reload_and_is_as_before_again_is_reloaded(file: Path) -> None:
    config = EditedMeanwhile(file, Polling)
    watcher = asyncio.create_task(watch([config], look_every_s=LOOK_EVERY_S))
    await until(lambda: config.is_edited)
    await until(lambda: config.value.limits.calls == 1)
    watcher.cancel()


async def test_each_file_is_judged_by_itself(file: Path) -> None:
    other = file.with_name("other.yaml")
    other.write_text(GOOD)
    first, second = LiveConfig(file, Polling), LiveConfig(other, Polling)
    watcher = asyncio.create_task(watch([first, second], look_every_s=LOOK_EVERY_S))
    file.write_text("nonsense")
    other.write_text("limits: {calls: 5}")
    await until(lambda: second.value.limits.calls == 5 and is_invalid())
    assert first.value.limits.calls == 1
    watcher.cancel()


class Anything(BaseModel):
    """Reads the same file with less interest."""


@pytest.mark.parametrize("models", [(Polling, Anything), (Anything, Polling)])
async def test_a_file_that_two_read_is_good_only_if_both_can_read_it(
    file: Path, models: tuple[type[BaseModel], type[BaseModel]]
) -> None:
    readers = [LiveConfig(file, model) for model in models]
    task = asyncio.create_task(watch(readers, look_every_s=LOOK_EVERY_S))
    try:
        file.write_text("limits: nonsense")
        await until(is_invalid)
        file.write_text(GOOD)
        await until(lambda: not is_invalid())
    finally:
        task.cancel()
