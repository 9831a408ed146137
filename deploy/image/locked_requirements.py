"""Prints those requirements of requirements.lock, with their hashes, that some extras of the distribution need.

    locked_requirements.py native archive       what `ridehail[native,archive]` needs
    locked_requirements.py --build              what the wheel is built with

Who installs them with `pip --require-hashes` is told if one is missing. Needs the standard library only: it runs where
nothing is installed yet.
"""

from __future__ import annotations

import configparser
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

NAME = "ridehail"
_NAME = re.compile(r"([A-Za-z0-9._-]+)(?:\[([^\]]*)\])?")


def main() -> None:
    """Reads the files in the current folder."""
    if sys.argv[1:] == ["--build"]:
        wanted = set(map(normal, tomllib.loads(Path("pyproject.toml").read_text())["build-system"]["requires"]))
    else:
        wanted = stated(Path("setup.cfg").read_text(), ["", *sys.argv[1:]])
    sys.stdout.write(locked(Path("requirements.lock").read_text(), wanted))


def stated(setup_cfg: str, extras: Iterable[str]) -> set[str]:
    """Returns the packages that the distribution itself asks for, with some extras; the empty one is the base.

    Raises:
        KeyError: There is no such extra.
    """
    setup = configparser.ConfigParser()
    setup.read_string(setup_cfg)
    sections = {"": setup["options"]["install_requires"], **setup["options.extras_require"]}
    found: set[str] = set()
    for extra in extras:
        for line in filter(None, sections[extra].splitlines()):
            name, inner = _split(line)
            found |= stated(setup_cfg, inner) if name == NAME else {name}
    return found


def locked(lock: str, wanted: set[str]) -> str:
    """Returns the entries of the wanted packages, and of all that these need: the lock notes who needs what."""
    entries = [_Entry(text) for text in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE) if text]
    chosen: set[str] = set()
    while fresh := wanted - chosen:
        chosen |= fresh
        wanted = {entry.name for entry in entries if entry.needed_by & fresh}
    return "".join(entry.text for entry in entries if entry.name in chosen)


class _Entry:
    """What the lock says of one version of a package."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.name = normal(text)
        comments = "".join(line for line in text.splitlines() if line.lstrip().startswith("#"))
        self.needed_by = {normal(word) for word in comments.partition("via")[2].replace("#", " ").split()}


def normal(requirement: str) -> str:
    """Returns the name in a requirement, as indexes write it; empty if there is none."""
    return _split(requirement)[0]


def _split(requirement: str) -> tuple[str, list[str]]:
    found = _NAME.match(requirement)
    if found is None:
        return "", []
    return re.sub(r"[-_.]+", "-", found[1]).lower(), (found[2] or "").replace(" ", "").split(",")


if __name__ == "__main__":
    main()
