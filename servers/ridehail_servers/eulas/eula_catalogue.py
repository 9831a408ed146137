"""The configured agreements, and where they apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter

from ridehail_servers.chassis.localized_texts import Texts, Titles, by_lower_case
from ridehail_servers.chassis.text_rules import Id

_URL = TypeAdapter(HttpUrl)
# A thousand years: `datetime` can hold the end of whatever is decided today.
_MAX_TTL_S = 31_557_600_000
_MAX_REVISION = 2**31 - 1
_MAX_LOCATIONS = 1024


def _checked_url(value: str) -> str:
    if value:
        _URL.validate_python(value)
    return value


class Eula(BaseModel):
    """An agreement, as it is written in `EULAS`.

    Attributes:
        eula_id: Its name.
        type: What kind it is; tariffs require kinds.
        revision: Is raised when everybody has to decide again.
        ttl_s: For how many seconds a decision counts.
        rejectable: Whether it may be rejected.
        countries: Where it applies; empty: in all.
        zones: Where it applies; empty: in all.
        tariffs: What it concerns; empty: all.
        title: By language in lower case; English is required, since it is what others see.
        text: By language in lower case.
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
    title: Annotated[Titles, AfterValidator(by_lower_case)]
    text: Annotated[Texts, AfterValidator(by_lower_case)] = {}
    url: Annotated[str, AfterValidator(_checked_url)] = ""


class UserLocation(NamedTuple):
    """Where a user is, and the tariffs of interest there.

    Attributes:
        zone_name: One that is not configured is in no country.
        country: The country, or None for the zone's.
        tariffs: Empty: all.
    """

    zone_name: str
    country: str | None = None
    tariffs: frozenset[str] = frozenset()


class EulaCatalogue:
    """All agreements that are in force, in the order in which they are shown.

    Attributes:
        eulas: The agreements.
        version: The latest change that they contain, or None if they are those of the configuration file.
    """

    def __init__(
        self, eulas: Sequence[Eula], countries_of_zones: Mapping[str, str], version: int | None = None
    ) -> None:
        self.eulas = tuple(eulas)
        self.version = version
        self._by_id = {eula.eula_id: eula for eula in self.eulas}
        self._positions = {eula.eula_id: position for position, eula in enumerate(self.eulas)}
        self._by_type: dict[str, list[Eula]] = {}
        for eula in self.eulas:
            self._by_type.setdefault(eula.type, []).append(eula)
        self._countries = countries_of_zones
        # Callers name zones and countries as they like, so what is remembered of them has a limit.
        self._of_location = lru_cache(maxsize=_MAX_LOCATIONS)(self._find)

    def get(self, eula_id: str) -> Eula | None:
        """Returns the agreement, or None if it is not configured."""
        return self._by_id.get(eula_id)

    def place_of(self, eula_id: str) -> tuple[int, str]:
        """Returns by what lists are sorted: configured agreements in their order, then the others by id."""
        return self._positions.get(eula_id, len(self.eulas)), eula_id

    def of_type(self, eula_type: str) -> Sequence[Eula]:
        """Returns the agreements of a type, wherever they apply."""
        return self._by_type.get(eula_type, ())

    def applies_in(self, eula: Eula, zone_name: str, country: str | None = None) -> bool:
        """Returns whether an agreement's zones and countries are empty or match; without a country, the zone's counts.

        A zone that is not configured is in no country, and matches no agreement that is bound to zones.
        """
        if country is None:
            country = self._countries.get(zone_name)
        return (not eula.zones or (zone_name in self._countries and zone_name in eula.zones)) and (
            not eula.countries or country in eula.countries
        )

    def applicable(self, location: UserLocation) -> Sequence[Eula]:
        """Returns the agreements whose country, zone and tariffs all match."""
        found = self._of_location(location.zone_name, location.country)
        if not location.tariffs:
            return found
        return [eula for eula in found if not eula.tariffs or not location.tariffs.isdisjoint(eula.tariffs)]

    def _find(self, zone_name: str, country: str | None) -> Sequence[Eula]:
        return [eula for eula in self.eulas if self.applies_in(eula, zone_name, country)]
