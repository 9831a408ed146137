"""Reload: every way to change a file takes effect, and what a start refuses, a reload refuses."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel, ConfigDict

from ridehail_servers.chassis import app
from ridehail_servers.chassis.access import AccessPolicy
from ridehail_servers.chassis.background import failing_loops, keep_running
from ridehail_servers.chassis.experiments import Experiments
from ridehail_servers.chassis.keys import KeyRing, create_key_pair
from ridehail_servers.chassis.live_config import LiveConfig, Reloadable, settled_files, watch
from tests.support.config_edits import edit
from tests.support.log_capture import LogCapture, captured_logs
from tests.support.recorded_suite import recorded_suite
from tests.support.waiting import until

LOOK_EVERY_S = 0.02


class Limits(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    calls: int
    extra: object = None


@pytest.fixture
def log() -> Iterator[LogCapture]:
    with captured_logs() as capture:
        yield capture


@asynccontextmanager
async def reloaded(*files: Reloadable) -> AsyncIterator[None]:
    """Reloads files for the length of the block."""
    task = asyncio.create_task(keep_running("reload", lambda: watch(files, look_every_s=LOOK_EVERY_S)))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def content(calls: int) -> str:
    return f"calls: {calls}\n"


def is_invalid(file: Path) -> bool:
    return REGISTRY.get_sample_value("ridehail_config_invalid", {"file": file.name}) == 1


# --- ways to change a file: each begins with a folder layout and returns how to edit it, over and over


Edit = Callable[[int], None]


def folder_behind_a_link(file: Path) -> Edit:
    """A deployment that keeps a folder for each release, and a link to the present one."""
    link = file.parent

    def swap(calls: int) -> None:
        release = link.with_name(f"release-{calls}")
        release.mkdir()
        (release / file.name).write_text(content(calls))
        fresh = link.with_name("fresh-link")
        fresh.symlink_to(release)
        fresh.replace(link)

    link.rmdir()
    swap(0)
    return swap


def folder_that_is_replaced(file: Path) -> Edit:
    """A tool that removes the folder and makes another."""
    folder = file.parent

    def replace(calls: int) -> None:
        old = folder.with_name(f"old-{calls}")
        folder.rename(old)
        folder.mkdir()
        (folder / file.name).write_text(content(calls))

    replace(0)
    return replace


def git_sync(file: Path) -> Edit:
    """git-sync's layout: the folder is below a link to a worktree that is named after its commit; old ones go."""
    root = file.parent.parent / "git"
    root.mkdir()
    link = root / "current"
    file.parent.rmdir()
    file.parent.symlink_to(link / "config")

    def sync(calls: int) -> None:
        worktree = root / f".worktrees-{os.urandom(8).hex()}"
        (worktree / "config").mkdir(parents=True)
        (worktree / "config" / file.name).write_text(content(calls))
        old = link.resolve() if link.exists() else None
        fresh = root / "tmp-link"
        fresh.symlink_to(worktree.name)
        fresh.replace(link)
        if old:
            (old / "config" / file.name).unlink()
            (old / "config").rmdir()
            old.rmdir()

    sync(0)
    return sync


def file_that_is_a_link(file: Path) -> Edit:
    """A file that lives elsewhere and is edited there."""
    elsewhere = file.parent.parent / "elsewhere.yaml"
    file.symlink_to(elsewhere)

    def write(calls: int) -> None:
        elsewhere.write_text(content(calls))

    write(0)
    return write


def link_that_is_moved(file: Path) -> Edit:
    """A file that is a link to one of several."""

    def move(calls: int) -> None:
        target = file.with_name(f"limits-{calls}.yaml")
        target.write_text(content(calls))
        fresh = file.with_name("fresh-link")
        fresh.symlink_to(target.name)
        fresh.replace(file)

    move(0)
    return move


def config_map(file: Path) -> Edit:
    """A mounted ConfigMap: files are links into a folder that is itself a link."""
    folder = file.parent
    file.symlink_to(f"..data/{file.name}")

    def swap(calls: int) -> None:
        fresh = folder / f"..{os.urandom(4).hex()}"
        fresh.mkdir()
        (fresh / file.name).write_text(content(calls))
        (folder / "..data_tmp").symlink_to(fresh.name)
        (folder / "..data_tmp").replace(folder / "..data")

    swap(0)
    return swap


def same_size_and_time(file: Path) -> Edit:
    """An edit that neither size nor time of the file give away, as `rsync --times` or an unpacked archive makes it."""

    def write(calls: int) -> None:
        file.write_text(content(calls))
        os.utime(file, ns=(0, 0))

    write(0)
    return write


LAYOUTS = [
    folder_behind_a_link,
    folder_that_is_replaced,
    git_sync,
    file_that_is_a_link,
    link_that_is_moved,
    config_map,
    same_size_and_time,
]
FOLDERS = ["config", ".venv", "node_modules", "site-packages", "a folder's name"]


def has(config: LiveConfig[Limits], calls: int) -> bool:
    return config.value.calls == calls


@pytest.mark.parametrize("layout", LAYOUTS)
async def test_every_edit_is_noticed(tmp_path: Path, log: LogCapture, layout: Callable[[Path], Edit]) -> None:
    file = tmp_path / "config" / "limits.yaml"
    file.parent.mkdir()
    change = layout(file)
    config = LiveConfig(file, Limits)
    async with reloaded(config):
        for calls in range(1, 5):
            change(calls)
            await until(partial(has, config, calls))
    assert not is_invalid(file)
    assert not log.events("background work failed")


@pytest.mark.parametrize("name", FOLDERS)
async def test_the_name_of_the_folder_does_not_matter(tmp_path: Path, name: str) -> None:
    file = tmp_path / name / "limits.yaml"
    file.parent.mkdir()
    file.write_text(content(0))
    config = LiveConfig(file, Limits)
    async with reloaded(config):
        file.write_text(content(1))
        await until(lambda: config.value.calls == 1)


# --- what the parsers trip over

BAD_PARTS = [
    "{{ .Values.x }}",
    "!!bool maybe",
    "!!int ''",
    "!!float ''",
    "!!timestamp foo",
    "!!binary 'é'",
    "!!map x",
    "2026-02-30",
    "&it [*it]",
    "!!python/object/apply:os.getcwd []",
]


@pytest.mark.parametrize("part", BAD_PARTS)
async def test_no_bad_edit_ends_the_reload(tmp_path: Path, log: LogCapture, part: str) -> None:
    file, flags = tmp_path / "limits.yaml", tmp_path / "flags.json"
    file.write_text(content(1))
    flags.write_text('{"flags": {}}')
    config = LiveConfig(file, Limits)
    async with reloaded(Experiments(flags), config):
        file.write_text(f"calls: 2\nextra: {part}\n")
        await until(lambda: is_invalid(file))
        refused = log.events("configuration refused")[-1]
        assert refused["file"] == str(file)
        assert refused["key"].startswith("extra")
        assert refused["reason"].isprintable()
        flags.write_text("{")
        await until(lambda: is_invalid(flags))
        assert config.value.calls == 1
        file.write_text(content(3))
        flags.write_text('{"flags": {}}')
        await until(lambda: config.value.calls == 3 and not is_invalid(flags))
        assert not is_invalid(file)


class Tripping:
    """A reader with a defect."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.is_good = True

    def reload(self) -> bool:
        if not self.is_good:
            raise TypeError("a defect")
        return True


async def test_a_reader_with_a_defect_keeps_no_other_file_from_being_reloaded(tmp_path: Path, log: LogCapture) -> None:
    file, other = tmp_path / "limits.yaml", tmp_path / "other.yaml"
    file.write_text(content(1))
    other.write_text("a")
    config, tripping = LiveConfig(file, Limits), Tripping(other)
    async with reloaded(tripping, config):
        tripping.is_good = False
        other.write_text("b")
        file.write_text(content(2))
        await until(lambda: config.value.calls == 2 and is_invalid(other))
        assert log.events("background work failed")[0]["file"] == str(other)
        tripping.is_good = True
        other.write_text("c")
        await until(lambda: not is_invalid(other))


async def test_a_loop_that_reloads_is_started_again_and_notices_what_changed_meanwhile(tmp_path: Path) -> None:
    file = tmp_path / "limits.yaml"
    file.write_text(content(1))
    config = LiveConfig(file, Limits)
    failed = asyncio.Event()

    async def fails_once() -> None:
        if not failed.is_set():
            failed.set()
            file.write_text(content(2))
            raise TypeError("a defect")
        await watch([config], look_every_s=LOOK_EVERY_S)

    task = asyncio.create_task(keep_running("fails once", fails_once))
    await until(lambda: config.value.calls == 2)
    assert "fails once" in failing_loops()
    task.cancel()


def test_a_file_that_is_written_in_place_is_taken_over_once_it_is_whole() -> None:
    file, taken, taken_over = Path("limits.yaml"), dict[Path, bytes](), list[bytes]()
    looks = [b"old", b"old", b"old", b"", b"ne", b"new", b"new", b"new", b"old", b"old"]
    for before, found in itertools.pairwise({file: one} for one in looks):
        for settled in settled_files(before, found, taken):
            taken[settled] = found[settled]
            taken_over.append(found[settled])
    assert taken_over == [b"old", b"new", b"old"]


# --- one rule for start and reload


@pytest.mark.integration
async def test_a_server_looks_at_its_files_as_often_as_it_is_told(
    keys_dir: Path, config_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    async def looks(_files: object, *, look_every_s: float) -> None:
        pauses.append(look_every_s)
        await asyncio.Event().wait()

    monkeypatch.setattr(app, "watch", looks)
    edit(config_dir / "server.yaml", {"reload_every_s": 7})
    async with recorded_suite(keys_dir=keys_dir, config_dir=config_dir):
        await until(lambda: pauses == [7])


@pytest.mark.integration
async def test_a_policy_that_loses_a_served_method_is_refused_by_start_and_reload(
    keys_dir: Path, config_dir: Path, log: LogCapture
) -> None:
    file = config_dir / "access.yaml"
    whole = file.read_text()
    lines = whole.splitlines(keepends=True)
    truncated = "".join(lines[: len(lines) // 2])
    assert AccessPolicy.model_validate({"callers": [], "methods": {}})  # a short policy is no bad one by itself
    async with recorded_suite(keys_dir=keys_dir, config_dir=config_dir):
        file.write_text(truncated)
        await until(lambda: is_invalid(file))
        refused = log.events("configuration refused")[-1]
        assert (Path(refused["file"]).name, refused["key"]) == ("access.yaml", "methods")
        assert "have no entry" in refused["reason"]
        file.write_text(whole)
        await until(lambda: not is_invalid(file))
        edit(file, {"methods": {"ridehail.tollroads.v1.TollRoadsService/RetrieveOrder": None}})
        await until(lambda: is_invalid(file))


# --- keys


class Seconds:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_keys_behind_links_are_read_again(tmp_path: Path) -> None:
    seconds = Seconds()
    for number in (1, 2, 3):
        create_key_pair(tmp_path / f"release-{number}", f"key-{number}")
    link = tmp_path / "tickets"
    link.symlink_to("release-1")
    ring = KeyRing(link, monotonic=seconds)
    for number in (2, 3):
        fresh = tmp_path / "fresh"
        fresh.symlink_to(f"release-{number}")
        fresh.replace(link)
        seconds.now += 2
        assert ring.public_key(f"key-{number}") is not None
        assert ring.public_key(f"key-{number - 1}") is None
    assert ring.withdrawals() == 2


@pytest.mark.parametrize("in_its_place", ["nothing", "file", "loop of links"])
def test_a_folder_of_keys_that_cannot_be_read_takes_none_away(
    tmp_path: Path, log: LogCapture, in_its_place: str
) -> None:
    seconds = Seconds()
    folder = tmp_path / "tickets"
    create_key_pair(folder, "key-1")
    ring = KeyRing(folder, monotonic=seconds)
    folder.rename(tmp_path / "elsewhere")
    if in_its_place == "file":
        folder.write_text("")
    if in_its_place == "loop of links":
        folder.symlink_to("tickets")
    seconds.now += 2
    assert ring.signing_key()[0] == "key-1"
    assert ring.public_key("key-1") is not None
    assert any("the old ones stay" in line["event"] for line in log.lines)


@pytest.mark.parametrize("half", ["public", "private"])
@pytest.mark.parametrize(
    "noise", [b"", b"\x00" * 40, b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
)
def test_a_key_of_any_bytes_disturbs_no_running_process(
    tmp_path: Path, log: LogCapture, half: str, noise: bytes
) -> None:
    seconds = Seconds()
    folder = tmp_path / "tickets"
    create_key_pair(folder, "key-1")
    ring = KeyRing(folder, monotonic=seconds)
    (folder / f"key-1.{half}.pem").write_bytes(noise)
    seconds.now += 2
    assert ring.signing_key()[0] == "key-1"
    assert ring.public_key("key-1") is not None
    assert log.events("key refused")
