"""Configuration files: YAML, checked against a pydantic model; unknown keys are refused. See also `live_config`."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from .errors import Explained

Model = TypeVar("Model", bound=BaseModel)

# Larger than any configuration, and small enough to be read by mistake.
_MAX_BYTES = 16 * 1024 * 1024
# Keys that mean something to YAML itself (`<<`, `=`); nothing is constructed from them.
_SPECIAL_KEYS = {"tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"}


class ConfigError(Explained):
    """A configuration file cannot be used; the key is dotted, or empty where the file as a whole is at fault."""

    def __init__(self, file: Path, key: str, reason: str, *, others: Sequence[ConfigError] = ()) -> None:
        self.file = file
        self.key = one_line(key)
        self.reason = one_line(reason)
        self.others = others
        super().__init__(f"{file}: {self.key + ': ' if self.key else ''}{self.reason}")

    @classmethod
    def of(cls, file: Path, faults: Iterable[tuple[str, str]]) -> ConfigError:
        """Returns the error of a file with faults, at least one: each its key and the reason."""
        (key, reason), *others = faults
        return cls(file, key, reason, others=[cls(file, *one) for one in others])


def one_line(text: str) -> str:
    """Returns a text without line ends and other characters that no line of a log or a terminal should have."""
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())


def read_text(file: Path) -> str:
    """Returns the content of a regular file of at most 16 MiB in UTF-8, or raises `ConfigError`."""
    try:
        return read_bytes(file).decode("utf-8")
    except OSError as error:
        raise ConfigError(file, "", error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(file, "", str(error)) from error


def read_bytes(file: Path) -> bytes:
    """Returns the content of a regular file of at most 16 MiB, or raises `OSError`."""
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
    """A part of a file, at a dotted key, cannot be used."""

    def __init__(self, key: str, reason: str) -> None:
        super().__init__(reason)
        self.key = key


def _parsed(text: str) -> tuple[Any, Sequence[Refused]]:  # whatever the document holds
    """Returns the content of a YAML document, or None with what is wrong with it.

    That is: a value that cannot be constructed, or a key that is given twice, of which YAML would silently take the
    last.

    Raises:
        Exception: Whatever else the parser trips over.
    """
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None, ()
        check = _Check(loader)
        check.node(node, ())
        return None if check.refused else loader.construct_document(node), check.refused
    finally:
        loader.dispose()


class _Check:
    """Constructs every scalar by itself, so that one that fails is known by its key."""

    def __init__(self, loader: yaml.SafeLoader) -> None:
        self.refused: list[Refused] = []
        self._loader = loader
        self._begun: set[int] = set()
        self._done: set[int] = set()

    def node(self, node: yaml.Node, path: tuple[str, ...]) -> None:
        if id(node) in self._done:
            return  # an alias
        if id(node) in self._begun:
            self._refuse(node, path, "refers to itself")
            return
        self._begun.add(id(node))
        if node.tag not in self._loader.yaml_constructors:
            self._refuse(node, path, f"could not determine a constructor for the tag {node.tag!r}")
        elif isinstance(node, yaml.MappingNode):
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
                self._refuse(key, path, "a key must be a text")
                continue
            if key.value in seen:
                self._refuse(key, path, f"{key.value!r} is given twice")
            seen.add(key.value)
            if key.tag not in _SPECIAL_KEYS:
                self.node(key, (*path, key.value))
            self.node(value, (*path, key.value))

    def _scalar(self, node: yaml.Node, path: tuple[str, ...]) -> None:
        try:
            self._loader.construct_object(node, deep=True)
        except Exception as error:  # the constructors raise what their code happens to trip over
            kind = node.tag.rpartition(":")[2]
            self._refuse(node, path, f"{node.value!r} is no {kind} ({error})")

    def _refuse(self, node: yaml.Node, path: tuple[str, ...], reason: str) -> None:
        self.refused.append(Refused(".".join(path), f"line {node.start_mark.line + 1}: {reason}"))


def load(file: Path, model: type[Model]) -> Model:
    """Reads a YAML file; raises `ConfigError` if it cannot be read or breaks a rule of the model."""
    text = read_text(file)
    try:
        content, refused = _parsed(text)
    except Exception as error:  # the parser raises what its code happens to trip over
        raise ConfigError(file, "", str(error) or type(error).__name__) from error
    if refused:
        raise ConfigError.of(file, [(one.key, str(one)) for one in refused]) from refused[0]
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        raise ConfigError.of(file, [(".".join(map(str, one["loc"])), one["msg"]) for one in faults]) from error
    except Exception as error:  # a rule may trip over a value that its author did not think of
        raise ConfigError(file, "", f"{type(error).__name__}: {error}") from error
