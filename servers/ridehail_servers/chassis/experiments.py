"""Experiments: on for a share of the passengers, by `flags.json`.

The file is written in flagd's language (https://flagd.dev/reference/flag-definitions/) and evaluated by OpenFeature's
flagd engine. Its `fractional` rule hashes the targeting key, so a passenger stays in the same bucket as a share grows.
The file is reloaded like every other configuration file, a bad edit changes nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import OpenFeatureError

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
            ConfigError: It cannot be read or is not a flagd file.
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
        except OpenFeatureError as error:
            logger.warning("experiment not evaluated", experiment=name, error=type(error).__name__)
            return False

    def reload(self) -> None:
        """Takes over the file's content, or keeps the old one and reports why."""
        try:
            self._flags = _load(self._file)
        except ConfigError as error:
            CONFIG_INVALID.labels(self._file.name).set(1)
            logger.error("configuration refused", file=str(error.file), key=error.key, reason=error.reason)
            return
        CONFIG_INVALID.labels(self._file.name).set(0)


def _load(file: Path) -> FlagdCore:
    flags = FlagdCore()
    try:
        flags.set_flags(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(file, "", error.strerror or str(error)) from error
    except json.JSONDecodeError as error:
        raise ConfigError(file, "", str(error)) from error
    except (OpenFeatureError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(file, "flags", f"not a flagd definition: {error}") from error
    return flags
