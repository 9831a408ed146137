"""Experiments: on for a share of the passengers, by `flags.json`.

The file is written in flagd's language (https://flagd.dev/reference/flag-definitions/) and evaluated by OpenFeature's
flagd engine. Its `fractional` rule hashes the targeting key, so a passenger stays in the same bucket as a share grows.
The file is reloaded like every other configuration file, a bad edit changes nothing.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from .config import ConfigError
from .logs import get_logger
from .metrics import CONFIG_INVALID

logger = get_logger(__name__)


class Experiments:
    """The experiments of one file."""

    def __init__(self, file: Path) -> None:
        """Reads the file.

        Args:
            file: Flag definitions in JSON.

        Raises:
            ConfigError: It cannot be read, is not a flagd file, or has a flag that cannot be evaluated.
        """
        self._file = file
        self._flags = _load(file)
        CONFIG_INVALID.labels(file.name).set(0)

    @property
    def file(self) -> Path:
        """The file."""
        return self._file

    def enabled(self, name: str, *, passenger: str) -> bool:
        """Tells whether a passenger takes part in an experiment.

        Args:
            name: The experiment; one that the file does not have is off.
            passenger: The passenger's uid: the same one always gets the same answer from the same file.
        """
        try:
            return bool(self._flags.resolve_boolean_value(name, False, EvaluationContext(passenger)).value)  # noqa: FBT003
        except Exception as error:  # a rule that trips over this passenger must not fail the call
            logger.warning("experiment not evaluated", experiment=name, error=type(error).__name__)
            return False

    def reload(self) -> bool:
        """Takes over the file's content, or keeps the old one and logs why; returns whether the file is good."""
        try:
            self._flags = _load(self._file)
        except ConfigError as error:
            logger.error("configuration refused", file=str(error.file), key=error.key, reason=error.reason)
            return False
        return True


def _load(file: Path) -> FlagdCore:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(file, "", error.strerror or str(error)) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(file, "", str(error)) from error
    if not isinstance(content, dict) or not isinstance(content.get("flags"), dict):
        raise ConfigError(file, "flags", "must be an object of flags")
    for name, flag in content["flags"].items():
        _check(file, content, name, flag)
    flags = FlagdCore()
    try:
        flags.set_flags(content)
    except Exception as error:  # the engine raises what its code happens to trip over
        raise ConfigError(file, "", f"not a flagd definition: {_why(error)}") from error
    return flags


def _check(file: Path, content: dict[str, Any], name: str, flag: Any) -> None:  # a flag is any JSON until it is checked
    """Evaluates a flag once, by itself: the engine looks into targeting rules and variants only then."""
    flags = FlagdCore()
    try:
        # A copy: the engine changes what it is given.
        flags.set_flags(copy.deepcopy({**content, "flags": {name: flag}}))
        flags.resolve_boolean_value(name, False, EvaluationContext("0"))  # noqa: FBT003
    except Exception as error:  # the engine raises what its code happens to trip over
        raise ConfigError(file, f"flags.{name}", f"not a flagd definition: {_why(error)}") from error


def _why(error: BaseException) -> str:
    if str(error) or error.__cause__ is None:
        return str(error) or type(error).__name__
    return _why(error.__cause__)
