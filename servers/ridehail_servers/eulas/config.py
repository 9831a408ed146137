"""The content of `eulas.yaml`, and what eulas reads of `api_proxy.yaml`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import cached_property
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    HttpUrl,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

from ridehail_servers.chassis.localized_texts import Texts, Titles, by_lower_case
from ridehail_servers.chassis.text_rules import Id

from .eula_catalogue import Eula, EulaCatalogue

_URL = TypeAdapter(HttpUrl)
# A thousand years: `datetime` can hold the end of whatever is decided today.
_MAX_TTL_S = 31_557_600_000
_MAX_REVISION = 2**31 - 1


def _checked_url(value: str) -> str:
    if value:
        _URL.validate_python(value)
    return value


class ConfiguredEula(BaseModel):
    """An agreement, as it is written in `EULAS`.

    Attributes:
        eula_id: Its name.
        type: What kind it is.
        revision: Is raised when everybody has to decide again.
        ttl_s: For how many seconds a decision counts.
        rejectable: Whether it may be rejected.
        countries: Where it applies; empty: in all.
        zones: Where it applies; empty: in all.
        tariffs: What it concerns; empty: all.
        title: By language; English is required, since it is what others see.
        text: By language.
        url: Where all of it can be read, by http or https; empty: nowhere.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    eula_id: Id
    type: Id
    revision: int = Field(strict=True, ge=1, le=_MAX_REVISION)
    ttl_s: int = Field(strict=True, ge=1, le=_MAX_TTL_S)
    rejectable: bool = Field(strict=True)
    countries: tuple[Id, ...] = ()
    zones: tuple[Id, ...] = ()
    tariffs: tuple[Id, ...] = ()
    title: Titles
    text: Texts = {}
    url: Annotated[str, AfterValidator(_checked_url)] = ""

    def eula(self) -> Eula:
        return Eula(
            eula_id=self.eula_id,
            type=self.type,
            revision=self.revision,
            ttl=timedelta(seconds=self.ttl_s),
            rejectable=self.rejectable,
            countries=frozenset(self.countries),
            zones=frozenset(self.zones),
            tariffs=frozenset(self.tariffs),
            titles=by_lower_case(self.title),
            texts=by_lower_case(self.text),
            url=self.url,
        )


class EulasConfig(BaseModel):
    """The content of `eulas.yaml`.

    Attributes:
        zones: `ZONES`: the country of each zone that there is.
        eulas: `EULAS`: the agreements, in the order in which they are shown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    zones: dict[Id, Id] = Field(alias="ZONES")
    eulas: tuple[ConfiguredEula, ...] = Field(alias="EULAS")

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
        return self

    @cached_property
    def catalogue(self) -> EulaCatalogue:
        """The agreements for the rules."""
        return EulaCatalogue([eula.eula() for eula in self.eulas], self.zones)


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
