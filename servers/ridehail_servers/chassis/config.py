"""Configuration files that change while the server runs.

Each file is YAML, checked against a pydantic model; unknown keys are refused. A bad file stops the start. A bad edit of
a running server, by the same rules, changes nothing: the old values stay, an error names file, key and reason, and the
gauge `ridehail_config_invalid{file}` is 1 until the file is good again.

Files are read four times a second instead of being watched: notifications miss folders that are replaced, links that
are moved, and what lies behind a link, and a dozen small files cost 0.1 ms.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import stat
from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .background import report_failure
from .logs import get_logger
from .metrics import CONFIG_INVALID

Model = TypeVar("Model", bound=BaseModel)

logger = get_logger(__name__)

RELOAD = "reload of files"
"""The name of the loop that reloads files."""

_LOOK_EVERY_S = 0.25
# Larger than any configuration, and small enough to be read by mistake.
_MAX_BYTES = 16 * 1024 * 1024
# Keys that mean something to YAML itself (`<<`, `=`); nothing is constructed from them.
_SPECIAL_KEYS = {"tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"}


class ConfigError(Exception):
    """A configuration file cannot be used.

    Attributes:
        file: Its path.
        key: The offending key, dotted; empty when the file as a whole is at fault.
        reason: What is wrong.
    """

    def __init__(self, file: Path, key: str, reason: str) -> None:
        self.file = file
        self.key = one_line(key)
        self.reason = one_line(reason)
        super().__init__(f"{file}: {self.key + ': ' if self.key else ''}{self.reason}")


def one_line(text: str) -> str:
    """Returns a text without line ends and other characters that no line of a log or a terminal should have.

    Args:
        text: Any.
    """
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def read_text(file: Path) -> str:
    """Returns the content of a file.

    Args:
        file: A regular file of at most 16 MiB in UTF-8.

    Raises:
        ConfigError: It is none, or cannot be read.
    """
    try:
        return _read(file).decode("utf-8")
    except OSError as error:
        raise ConfigError(file, "", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(file, "", str(error)) from error


def _read(file: Path) -> bytes:
    status = file.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file")  # reading a pipe might never end
    with file.open("rb") as opened:
        content = opened.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return content


class Refused(Exception):
    """A part of a file cannot be used.

    Attributes:
        key: Which part, dotted.
    """

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def _parsed(text: str) -> Any:  # whatever the document holds
    """Returns the content of a YAML document.

    Raises:
        Refused: A value cannot be constructed, or a key is given twice, of which YAML would silently take the last.
        Exception: Whatever else the parser trips over.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _Check(loader).node(node, ())
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Check:
    """Constructs every scalar by itself, so that one that fails is known by its key."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self._loader = loader
        self._begun: set[int] = set()
        self._done: set[int] = set()

    def node(self, node: yaml.Node, path: tuple[str, ...]) -> None:
        """Checks a node and all below it; raises `Refused`."""
        if id(node) in self._done:
            return  # an alias
        if id(node) in self._begun:
            raise _refused(node, path, "refers to itself")
        self._begun.add(id(node))
        if node.tag not in self._loader.yaml_constructors:
            raise _refused(node, path, f"could not determine a constructor for the tag {node.tag!r}")
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode):
            for number, value in enumerate(node.value):
                self.node(value, (*path, str(number)))
        else:
            self._scalar(node, path)
        self._done.add(id(node))

    def _mapping(self, node: yaml.MappingNode, path: tuple[str, ...]) -> None:
        seen: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _refused(key, path, "a key must be a text")
            if key.value in seen:
                raise _refused(key, path, f"{key.value!r} is given twice")
            seen.add(key.value)
            if key.tag not in _SPECIAL_KEYS:
                self.node(key, (*path, key.value))
            self.node(value, (*path, key.value))

    def _scalar(self, node: yaml.Node, path: tuple[str, ...]) -> None:
        try:
            self._loader.construct_object(node, deep=True)
        except Exception as error:  # the constructors raise what their code happens to trip over
            kind = node.tag.rpartition(":")[2]
            raise _refused(node, path, f"{node.value!r} is no {kind} ({error})") from error


def _refused(node: yaml.Node, path: tuple[str, ...], reason: str) -> Refused:
    return Refused(".".join(path), f"line {node.start_mark.line + 1}: {reason}")


def load(file: Path, model: type[Model]) -> Model:
    """Reads and checks one file.

    Args:
        file: A YAML file.
        model: What it must hold.

    Raises:
        ConfigError: It cannot be read, or breaks a rule of the model.
    """
    text = read_text(file)
    try:
        content = _parsed(text)
    except Refused as error:
        raise ConfigError(file, error.key, str(error)) from error
    except Exception as error:  # the parser raises what its code happens to trip over
        raise ConfigError(file, "", str(error) or type(error).__name__) from error
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(file, ".".join(map(str, first["loc"])), first["msg"]) from error
    except Exception as error:  # a rule may trip over a value that its author did not think of
        raise ConfigError(file, "", f"{type(error).__name__}: {error}") from error


class Reloadable(Protocol):
    """Something that is read from a file and can be read again."""

    @property
    def file(self) -> Path:
        """The file."""

    def reload(self) -> bool:
        """Takes over the file's content, or keeps the old one and logs why; returns whether the file is good."""


class LiveConfig(Generic[Model]):
    """The present content of one file."""

    def __init__(self, file: Path, model: type[Model], *, check: Callable[[Model], None] = lambda _value: None) -> None:
        """Reads the file.

        Args:
            file: A YAML file.
            model: What it must hold.
            check: Judges it beside the rest of the process, at the start and at every reload; raises `Refused`.

        Raises:
            ConfigError: See `load`; or `check` refuses it.
        """
        self._file = file
        self._model = model
        self._check = check
        self._value = self._load()
        CONFIG_INVALID.labels(file.name).set(0)

    @property
    def file(self) -> Path:
        """The file."""
        return self._file

    @property
    def value(self) -> Model:
        """The latest good content. Read it once a request: the next read may differ."""
        return self._value

    def reload(self) -> bool:
        """Takes over the file's content, or keeps the old one and logs why; returns whether the file is good."""
        try:
            value = self._load()
        except ConfigError as error:
            logger.error("configuration refused", file=str(error.file), key=error.key, reason=error.reason)
            return False
        if value != self._value:
            self._value = value
            logger.info("configuration changed", file=str(self._file))
        return True

    def _load(self) -> Model:
        value = load(self._file, self._model)
        try:
            self._check(value)
        except Refused as error:
            raise ConfigError(self._file, error.key, str(error)) from error
        return value


async def watch(files: Sequence[Reloadable], *, look_every_s: float = _LOOK_EVERY_S) -> None:
    """Reloads files as their content changes, until cancelled.

    A change is taken over when two looks in a row have found the same, so a file that is written in place is not taken
    over while it is half there.

    Args:
        files: What to reload.
        look_every_s: Seconds between two looks at all of them.
    """
    # What changed between the start and the first look has been noticed by nobody, so nothing counts as taken over.
    taken: dict[Path, bytes] = {}
    before: dict[Path, bytes] = {}
    while True:
        found = await asyncio.to_thread(_fingerprints, {one.file for one in files})
        settled = {file for file, print_ in found.items() if print_ == before.get(file) != taken.get(file)}
        if settled:
            await asyncio.to_thread(reload, [one for one in files if one.file in settled])
            taken.update((file, found[file]) for file in settled)
        before = found
        await asyncio.sleep(look_every_s)


def _fingerprints(files: Set[Path]) -> dict[Path, bytes]:
    """Returns what tells the present content of each file from any other, also of one that cannot be read."""
    found: dict[Path, bytes] = {}
    for file in files:
        try:
            found[file] = hashlib.sha256(_read(file)).digest()
        except OSError as error:
            found[file] = str(error.errno).encode()
    return found


def reload(files: Sequence[Reloadable]) -> None:
    """Reloads files. Several may read the same one, each in its own way: it is good if all of them say so.

    Args:
        files: What to reload.
    """
    refused = {one.file.name for one in files if not _reload(one)}
    for one in files:
        CONFIG_INVALID.labels(one.file.name).set(one.file.name in refused)


def _reload(one: Reloadable) -> bool:
    try:
        return one.reload()
    except Exception as error:  # one file must not keep the others from being reloaded
        report_failure(RELOAD, error, file=str(one.file))
        return False
