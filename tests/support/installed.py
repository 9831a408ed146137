"""Installs of the distribution, each in an environment of its own with just what its extras ask for.

An environment borrows the files of the packages that this one has, by links: it needs no index, and takes a second.
What it borrows is worked out from the requirements that the wheel states and, package by package, those that these
state. So what the wheel uses and does not ask for is not there. uv then installs the wheel, with no index to ask: it
refuses a requirement that is missing or of another version.
"""

from __future__ import annotations

import csv
import fcntl
import importlib
import marshal
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.parser import Parser
from importlib import metadata
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NAME = "ridehail"
PACKAGES = (NAME, "ridehail_clients", "ridehail_kernel", "ridehail_servers")
_ROOT = Path(__file__).parents[2]
_UV = (sys.executable, "-m", "uv")
# Of a compiled file that counts whatever its source's hash (PEP 552): flags, and eight bytes for the hash.
_UNCHECKED = (1).to_bytes(4, "little") + bytes(8)


@dataclass(frozen=True, slots=True)
class Install:
    """An environment with the distribution in it."""

    folder: Path
    distributions: frozenset[str]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def script(self) -> Path:
        return self.folder / "bin" / NAME

    def run(self, *words: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a program of the environment to its end, in the environment's folder."""
        return subprocess.run(
            [str(self.folder / "bin" / words[0]), *words[1:]],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
            env={**foreign_environment(), **(environment or {})},
            check=False,
        )


def built_wheel(folder: Path) -> Path:
    """Returns the wheel of this checkout, built by the first process of the run that needs it."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(folder.glob("*.whl")):
            # From a copy: a build writes into the tree that it is made from, and others work in ours.
            leave_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
            sources = shutil.copytree(_ROOT, folder / "sources", ignore=leave_out)
            _run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(sources))
        (wheel,) = folder.glob("*.whl")
        return wheel


def foreign_environment() -> dict[str, str]:
    """Returns the variables of this process without what would lead to its own packages."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


def install(wheel: Path, extras: Iterable[str], folder: Path) -> Install:
    """Installs a wheel with some extras into a new environment."""
    extra = f"[{','.join(extras)}]" if extras else ""
    _run(*_UV, "venv", "--quiet", "--python", sys.executable, str(folder))
    (site,) = folder.glob("lib/python*/site-packages")
    packages = needed(wheel, extras)
    for name in packages:
        _borrow(name, site)
    environment = ("--python", str(folder / "bin" / "python"))
    _run(
        *_UV, "pip", "install", "--quiet", "--offline", "--no-index", *environment, f"{NAME}{extra} @ {wheel.as_uri()}"
    )
    add_compiled(site)
    return Install(folder, packages)


def add_compiled(site: Path) -> None:
    """Puts what this checkout's modules are compiled to beside each installed one that is the same.

    So no process of the environment compiles it again: all of it takes seconds.
    """
    for name in PACKAGES:
        root = Path(importlib.import_module(name).__path__[0])
        for module in (site / name).rglob("*.py"):
            source = root / module.relative_to(site / name)
            if not source.is_file() or source.read_bytes() != module.read_bytes():
                continue
            code = SourceFileLoader(module.stem, str(source)).get_code(module.stem)
            compiled = Path(cache_from_source(str(module)))
            compiled.parent.mkdir(exist_ok=True)
            compiled.write_bytes(MAGIC_NUMBER + _UNCHECKED + marshal.dumps(code))


def needed(wheel: Path, extras: Iterable[str]) -> frozenset[str]:
    """Returns the packages that a wheel with some extras needs, directly or not, where they are installed."""
    return needed_by(_metadata_of(wheel), extras)


def needed_by(stated: Iterable[str], extras: Iterable[str]) -> frozenset[str]:
    """Returns the same, given the requirements that the distribution states."""
    return frozenset(_needed(_requirements(stated), extras))


def _run(*words: str) -> None:
    ended = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def _metadata_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode()).get_all("Requires-Dist") or []


def _requirements(stated: Iterable[str]) -> list[Requirement]:
    return [Requirement(line) for line in stated]


def _needed(own: list[Requirement], extras: Iterable[str]) -> Iterator[str]:
    waiting: list[tuple[str, frozenset[str]]] = [(NAME, frozenset(extras))]
    done: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, wanted = one = waiting.pop()
        if one in done:
            continue
        done.add(one)
        stated = own
        if name != NAME:
            with suppress(metadata.PackageNotFoundError):  # uv will say so
                stated = _requirements(metadata.requires(name) or ())
                yield name
        waiting.extend(
            (canonicalize_name(it.name), frozenset(it.extras))
            for it in stated
            if it.marker is None or any(it.marker.evaluate({"extra": extra}) for extra in ("", *wanted))
        )


def _borrow(name: str, site: Path) -> None:
    distribution = metadata.distribution(name)
    root = str(distribution.locate_file(""))
    made: set[str] = set()
    for line in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        file = line[0]
        if file.startswith(("..", "/")) or file.endswith("/INSTALLER"):
            continue  # a script, which would run another interpreter
        folder = file.rpartition("/")[0]
        if folder not in made:
            (site / folder).mkdir(parents=True, exist_ok=True)
            made.add(folder)
        with suppress(FileExistsError):  # such as the empty `__init__.py` of a namespace
            os.symlink(f"{root}/{file}", f"{site}/{file}")  # noqa: PTH211 - thousands, for which pathlib is slow
