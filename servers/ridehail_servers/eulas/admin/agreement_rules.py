"""What an admin may write into an agreement: the rules of the configuration file, and those of what is served."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from ridehail_kernel.field_violation import FieldViolation
from ridehail_servers.chassis.errors import InvalidRequest
from ridehail_servers.eulas.eula_catalogue import Eula
from ridehail_servers.eulas.served_locales import missing_texts

_FIELD = "agreement"


class Agreement(NamedTuple):
    """An agreement and its place in lists; position 0: behind all others if it is new, else where it was."""

    eula: Eula
    position: int


class ServedPlaces(NamedTuple):
    """What an agreement has to fit: the zones that are configured, and the languages that are served, in lower case."""

    zones: Collection[str]
    locales: Sequence[str]


def checked_agreement(entry: Mapping[str, Any], position: int, served: ServedPlaces) -> Agreement:
    """Returns an agreement that keeps all rules.

    Args:
        entry: As an entry of `EULAS`.
        position: See `Agreement`.
        served: What it has to fit.

    Raises:
        InvalidRequest: It breaks rules; names each with its field.
    """
    try:
        eula = Eula.model_validate(entry)
    except ValidationError as error:
        raise InvalidRequest(
            [
                FieldViolation(_path(problem["loc"]), problem["msg"], f"eulas.{problem['type']}")
                for problem in error.errors(include_url=False, include_input=False, include_context=False)
            ]
        ) from None
    if violations := [*_violations(eula, served)]:
        raise InvalidRequest(violations)
    return Agreement(eula, position)


def _violations(eula: Eula, served: ServedPlaces) -> Iterable[FieldViolation]:
    if not eula.url.isprintable():
        yield FieldViolation(f"{_FIELD}.url", "must be printable", "eulas.url")
    for number, zone in enumerate(eula.zones):
        if zone not in served.zones:
            yield FieldViolation(f"{_FIELD}.zones[{number}]", "is not a configured zone", "eulas.unknown_zone")
    for field, locale in missing_texts(eula, served.locales):
        yield FieldViolation(f'{_FIELD}.{field}["{locale}"]', "is required: the language is served", "eulas.locale")


def check_same_agreement(before: Eula, after: Eula) -> None:
    """Checks that an agreement stays what users have decided on.

    Raises:
        InvalidRequest: Its type becomes another, or its revision lower: decisions would count that nobody made.
    """
    violations: list[FieldViolation] = []
    if after.type != before.type:
        violations.append(FieldViolation(f"{_FIELD}.type", "must stay the same", "eulas.same_type"))
    if after.revision < before.revision:
        violations.append(
            FieldViolation(f"{_FIELD}.revision", f"must be at least {before.revision}", "eulas.lower_revision")
        )
    if violations:
        raise InvalidRequest(violations)


def _path(location: Sequence[int | str]) -> str:
    """Returns where a field is, as contracts' rules write it: `agreement.title["en"]`, `agreement.zones[1]`."""
    path = _FIELD
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part != "[key]":
            path += f".{part}" if path == _FIELD else f'["{part}"]'
    return path
