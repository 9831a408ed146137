"""The content of `eulas.yaml`, and what eulas reads of `api_proxy.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from ridehail_servers.chassis.locale_choice import FALLBACK
from ridehail_servers.chassis.localized_texts import Language
from ridehail_servers.chassis.text_rules import Id

from .eula_catalogue import Eula, EulaCatalogue
from .served_locales import missing_texts


class EulasSource(StrEnum):
    """Whose agreements are in force."""

    FILE = "file"
    DATABASE = "database"


class ResignConfig(BaseModel):
    """How fast those who have to decide again are marked.

    Attributes:
        batch_size: Decisions of one transaction.
        rest_factor: How long to pause after a batch, in multiples of the time that it took.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    batch_size: int = Field(default=1_000, strict=True, ge=1, le=100_000)
    rest_factor: float = Field(default=1.0, ge=0, le=100)


class EulasConfig(BaseModel):
    """The content of `eulas.yaml`.

    Attributes:
        source: `EULAS_SOURCE`: whether the agreements below are in force, or those of the database.
        locales: `LOCALES`: the languages in which every agreement has to be, in lower case.
        resign: `RESIGN`: see the class.
        expired_kept_days: `EXPIRED_KEPT_DAYS`: days after which expired decisions are deleted; 0: never.
        zones: `ZONES`: the country of each zone that there is.
        eulas: `EULAS`: the agreements, in the order in which they are shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: EulasSource = Field(alias="EULAS_SOURCE", default=EulasSource.FILE)
    locales: tuple[Annotated[Language, AfterValidator(str.lower)], ...] = Field(alias="LOCALES", default=(FALLBACK,))
    resign: ResignConfig = Field(alias="RESIGN", default=ResignConfig())
    expired_kept_days: int = Field(alias="EXPIRED_KEPT_DAYS", default=90, strict=True, ge=0, le=36_600)
    zones: dict[Id, Id] = Field(alias="ZONES")
    eulas: tuple[Eula, ...] = Field(alias="EULAS")

    @model_validator(mode="after")
    def _names_fit_together(self) -> EulasConfig:
        seen: set[str] = set()
        for number, eula in enumerate(self.eulas):
            if eula.eula_id in seen:
                raise _error(("EULAS", number, "eula_id"), eula.eula_id, "'{value}' is given twice")
            seen.add(eula.eula_id)
            for position, zone in enumerate(eula.zones):
                if zone not in self.zones:
                    raise _error(("EULAS", number, "zones", position), zone, "'{value}' is not among ZONES")
            # Otherwise a language that is served anew would have to be added to what is not in force.
            locales = self.locales if self.source is EulasSource.FILE else ()
            for field, locale in missing_texts(eula, locales):
                raise _error(("EULAS", number, field), locale, "'{value}' is among LOCALES, and missing here")
        return self

    @cached_property
    def catalogue(self) -> EulaCatalogue:
        return EulaCatalogue(self.eulas, self.zones)


class TariffRequirement(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    eula_type: str
    is_eula_required: bool = Field(strict=True)


class TariffRequirements(BaseModel):
    """What eulas reads of `api_proxy.yaml`, which api_proxy validates as a whole.

    Attributes:
        by_zone: Zone -> tariff -> what it requires.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    # Required: a file that is read while it is written must not pass for one that requires nothing.
    by_zone: dict[str, dict[str, TariffRequirement]] = Field(
        alias="ROUTESTATS_EULA_REQUIREMENTS_FOR_CATEGORIES_IN_ZONE"
    )

    @cached_property
    def required_types(self) -> dict[str, frozenset[str]]:
        """Zone -> the types that its tariffs require."""
        return {
            zone: frozenset(requirement.eula_type for requirement in tariffs.values() if requirement.is_eula_required)
            for zone, tariffs in self.by_zone.items()
        }


def _error(key: Iterable[int | str], value: str, reason: str) -> ValidationError:
    problem = PydanticCustomError("eulas", reason, {"value": value})
    return ValidationError.from_exception_data(
        "EulasConfig", [InitErrorDetails(type=problem, loc=tuple(key), input=value)]
    )
