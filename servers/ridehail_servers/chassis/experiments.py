"""Experiments: on for a share of the passengers, by `flags.json`.

The file is written in flagd's language (https://flagd.dev/reference/flag-definitions/) and evaluated by OpenFeature's
flagd engine. Its `fractional` rule hashes the targeting key, so a passenger stays in the same bucket as a share grows.
The file is reloaded like every other configuration file, a bad edit changes nothing.

An experiment is a flag whose variants are all boolean. The file may hold flags of other kinds for other readers: they
are not looked into, and off as experiments.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from .config import ConfigError, read_text
from .logs import get_logger
from .metrics import CONFIG_INVALID

logger = get_logger(__name__)


class Experiments:
    """The experiments of one file."""

    def __init__(self, file: Path) -> None:
        """Reads flag definitions in JSON; raises `ConfigError` if the file or an experiment in it is unusable."""
        self._file = file
        self._flags, self._others = _load(file)
        self._warned: set[str] = set()
        CONFIG_INVALID.labels(file.name).set(0)

    @property
    def file(self) -> Path:
        return self._file

    def enabled(self, name: str, *, passenger: str) -> bool:
        """Returns whether a passenger, by uid, takes part in an experiment; one that the file does not have is off.

        One file always gives one passenger the same result.
        """
        if name in self._others:
            if name not in self._warned:
                self._warned.add(name)
                logger.warning("a flag that is not boolean is no experiment: it is off", experiment=name)
            return False
        try:
            return bool(self._flags.resolve_boolean_value(name, False, EvaluationContext(passenger)).value)  # noqa: FBT003
        except Exception as error:  # a rule that trips over this passenger must not fail the call
            logger.warning("experiment not evaluated", experiment=name, error=type(error).__name__)
            return False

    def reload(self) -> bool:
        try:
            self._flags, self._others = _load(self._file)
            self._warned = set()
        except ConfigError as error:
            logger.error("configuration refused", file=str(error.file), key=error.key, reason=error.reason)
            return False
        return True


def _load(file: Path) -> tuple[FlagdCore, set[str]]:
    """Returns the experiments, and the names of all other flags."""
    text = read_text(file)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(file, "", str(error)) from error
    if not isinstance(content, dict):
        raise ConfigError(file, "flags", "must be an object of flags")
    named = _named(file, content.get("flags"))
    evaluators = content.pop("$evaluators", {})
    if not isinstance(evaluators, dict):
        raise ConfigError(file, "$evaluators", "must be an object of rules")
    experiments: dict[str, Any] = {}
    for name, flag in named.items():
        if not _is_of_another_kind(flag):
            experiments[name] = _with_rules(file, f"flags.{name}", flag, evaluators)
    content["flags"] = experiments
    for name, flag in experiments.items():
        _check(file, content, name, flag)
    flags = FlagdCore()
    try:
        flags.set_flags(content)
    except Exception as error:  # the engine raises what its code happens to trip over
        raise ConfigError(file, "", f"not a flagd definition: {_why(error)}") from error
    return flags, named.keys() - experiments.keys()


def _named(file: Path, flags: Any) -> dict[str, Any]:  # any JSON until it is checked
    """Returns the flags by name; flagd has two ways to write them down."""
    if isinstance(flags, dict):
        return flags
    if not isinstance(flags, list):
        raise ConfigError(file, "flags", "must be an object of flags")
    named: dict[str, Any] = {}
    for number, flag in enumerate(flags):
        if not isinstance(flag, dict) or not isinstance(flag.get("key"), str):
            raise ConfigError(file, f"flags.{number}", "a flag in a list must be an object with a `key`")
        name = flag.pop("key")
        if name in named:
            raise ConfigError(file, f"flags.{number}", f"{name!r} is given twice")
        named[name] = flag
    return named


def _with_rules(file: Path, key: str, value: Any, rules: Mapping[str, Any], open_rules: tuple[str, ...] = ()) -> Any:
    """Puts the shared rules (`$evaluators`) in the places that refer to them; the engine's own way breaks texts."""
    if isinstance(value, list):
        return [_with_rules(file, key, one, rules, open_rules) for one in value]
    if not isinstance(value, dict):
        return value
    name = value.get("$ref")
    if len(value) != 1 or not isinstance(name, str):
        return {inner: _with_rules(file, key, one, rules, open_rules) for inner, one in value.items()}
    if name not in rules or name in open_rules:
        raise ConfigError(file, key, f"$evaluators has no {name!r}" if name not in rules else f"{name!r} holds itself")
    return _with_rules(file, key, rules[name], rules, (*open_rules, name))


def _is_of_another_kind(flag: Any) -> bool:  # any JSON until it is checked
    variants = flag.get("variants") if isinstance(flag, dict) else None
    return isinstance(variants, dict) and not all(isinstance(value, bool) for value in variants.values())


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
