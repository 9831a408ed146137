"""Configuration files that change while the server runs.

Each file is YAML, checked against a pydantic model; unknown keys are refused. A bad file stops the start. A bad edit of
a running server changes nothing: the old values stay, an error names file, key and reason, and the gauge
`ridehail_config_invalid{file}` is 1 until the file is good again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from watchfiles import awatch

from .logs import get_logger
from .metrics import CONFIG_INVALID

Model = TypeVar("Model", bound=BaseModel)

logger = get_logger(__name__)


class ConfigError(Exception):
    """A configuration file cannot be used.

    Attributes:
        file: Its path.
        key: The offending key, dotted; empty when the file as a whole is at fault.
        reason: What is wrong.
    """

    def __init__(self, file: Path, key: str, reason: str) -> None:
        super().__init__(f"{file}: {key + ': ' if key else ''}{reason}")
        self.file = file
        self.key = key
        self.reason = reason


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """See yaml.constructor.SafeConstructor."""
        seen: set[object] = set()
        for key_node, _value in node.value:
            key = key_node.value
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is given twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(file: Path, model: type[Model]) -> Model:
    """Reads and checks one file.

    Args:
        file: A YAML file.
        model: What it must hold.

    Raises:
        ConfigError: It cannot be read, or breaks a rule of the model.
    """
    try:
        content: Any = yaml.load(file.read_text(encoding="utf-8"), _UniqueKeys)  # noqa: S506 - a safe loader
    except OSError as error:
        raise ConfigError(file, "", error.strerror or str(error)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or a date such as 2026-02-30
        raise ConfigError(file, "", " ".join(str(error).split())) from error
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ConfigError(file, ".".join(map(str, first["loc"])), first["msg"]) from error


class Reloadable(Protocol):
    """Something that is read from a file and can be read again."""

    @property
    def file(self) -> Path:
        """The file."""

    def reload(self) -> bool:
        """Takes over the file's content, or keeps the old one and logs why; returns whether the file is good."""


class LiveConfig(Generic[Model]):
    """The present content of one file."""

    def __init__(self, file: Path, model: type[Model]) -> None:
        """Reads the file.

        Args:
            file: A YAML file.
            model: What it must hold.

        Raises:
            ConfigError: See `load`.
        """
        self._file = file
        self._model = model
        self._value = load(file, model)
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
            value = load(self._file, self._model)
        except ConfigError as error:
            logger.error("configuration refused", file=str(error.file), key=error.key, reason=error.reason)
            return False
        if value != self._value:
            self._value = value
            logger.info("configuration changed", file=str(self._file))
        return True


async def watch(folder: Path, files: Sequence[Reloadable], *, watching: Callable[[], None] = lambda: None) -> None:
    """Reloads files as they change, until cancelled.

    The folder is watched, not the files: editors and Kubernetes replace files instead of writing to them.

    Args:
        folder: Holds the files.
        files: What to reload.
        watching: Called once, as soon as every later change will be noticed.
    """
    changes = awatch(folder, debounce=200, step=50, recursive=False, rust_timeout=1_000, yield_on_timeout=True)
    is_first = True
    async for changed in changes:
        if is_first:
            watching()
        # What changed between the start and now has been noticed by nobody.
        if changed or is_first:
            await asyncio.to_thread(_reload, files)
        is_first = False


def _reload(files: Sequence[Reloadable]) -> None:
    """Reloads all files. Several may read the same one, each in its own way: it is good if all of them say so."""
    refused = {file.file.name for file in files if not file.reload()}
    for file in files:
        CONFIG_INVALID.labels(file.file.name).set(file.file.name in refused)
