"""Copies of the key folder, one for each service, with what that service needs of it and nobody else's private keys."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from ridehail_servers.chassis.service_definition import ServiceDefinition

from .key_files import TICKETS

_OF_ALL = f"{TICKETS}/*/*.public.pem"


def own_keys(definition: ServiceDefinition) -> tuple[str, ...]:
    """Returns the files of the key folder, as patterns, that a service needs besides those that every one needs."""
    signing = (f"{TICKETS}/{definition.name}/*.private.pem",) if definition.dependencies else ()
    return (*signing, *(need.files for need in definition.keys))


def hand_out(keys: Path, target: Path, definitions: Iterable[ServiceDefinition]) -> list[Path]:
    """Brings `target/<service>` up to date for each service; returns the files that were written or removed.

    Running servers follow: all get the public keys before any gets a private one, and what the key folder has no more
    goes last. Killed at any step, it is completed by the next run.
    """
    wanted = {
        definition.name: {
            file.relative_to(keys) for pattern in (_OF_ALL, *own_keys(definition)) for file in keys.glob(pattern)
        }
        for definition in definitions
    }
    changed: list[Path] = []
    for public in (True, False):
        for name, files in wanted.items():
            chosen = sorted(file for file in files if file.name.endswith(".public.pem") is public)
            changed += [it for it in (_copy(keys / file, target / name / file) for file in chosen) if it]
    for name, files in wanted.items():
        for file in _files(target / name):
            if file.relative_to(target / name) not in files:
                file.unlink()
                changed.append(file)
    return changed


def _copy(source: Path, target: Path) -> Path | None:
    content, mode = source.read_bytes(), stat.S_IMODE(source.stat().st_mode)
    if target.is_file() and target.read_bytes() == content and stat.S_IMODE(target.stat().st_mode) == mode:
        return None
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    # By a rename, so that nobody reads half a key, from a name that no ring takes for a key.
    fresh = target.with_name(f".{target.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
    fresh.replace(target)
    return target


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in sorted(folder.rglob("*")) if file.is_file())
