"""Configuration files: YAML, checked against a pydantic model; unknown keys are refused. See also `live_config`."""

from __future__ import annotations

import errno
import os
import stat
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

    def __init__(self, file: Path, key: str, reason: str) -> None:
        self.file = file
        self.key = one_line(key)
        self.reason = one_line(reason)
        super().__init__(f"{file}: {self.key + ': ' if self.key else ''}{self.reason}")


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
    """Reads a YAML file; raises `ConfigError` if it cannot be read or breaks a rule of the model."""
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
