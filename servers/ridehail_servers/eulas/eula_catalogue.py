"""The agreements that there are, and whom they concern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Eula:
    """An agreement.

    Attributes:
        eula_id: Its name.
        type: What kind it is; tariffs require kinds.
        revision: Counts up whenever everybody is to be asked again.
        ttl: How long an answer counts.
        rejectable: Whether the answer may be no.
        countries: Where it applies; empty: in all.
        zones: Where it applies; empty: in all.
        tariffs: What it concerns; empty: all.
        titles: By language, in lower case; "en" is always there.
        texts: By language, in lower case; may be empty.
        url: Where all of it can be read; empty: nowhere.
    """

    eula_id: str
    type: str
    revision: int
    ttl: timedelta
    rejectable: bool
    countries: frozenset[str]
    zones: frozenset[str]
    tariffs: frozenset[str]
    titles: Mapping[str, str]
    texts: Mapping[str, str]
    url: str


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where a user is, and what the user is offered there.

    Attributes:
        zone_name: The zone; one that is not configured is in no country.
        country: None: the zone's.
        tariffs: Those of interest; empty: all.
    """

    zone_name: str
    country: str | None = None
    tariffs: frozenset[str] = frozenset()


class EulaCatalogue:
    """All configured agreements, in the order of the configuration."""

    def __init__(self, eulas: Sequence[Eula], countries_of_zones: Mapping[str, str]) -> None:
        """Indexes the agreements.

        Args:
            eulas: With unique ids.
            countries_of_zones: The country of each zone that there is.
        """
        self.eulas = tuple(eulas)
        self._by_id = {eula.eula_id: eula for eula in self.eulas}
        self._countries = countries_of_zones

    def get(self, eula_id: str) -> Eula | None:
        """Returns the agreement; None when it is not configured.

        Args:
            eula_id: Its name.
        """
        return self._by_id.get(eula_id)

    def of_type(self, eula_type: str, zone_name: str | None) -> list[Eula]:
        """Returns the agreements of a type that apply in a zone.

        Args:
            eula_type: The type; an unknown one has none.
            zone_name: The zone, or None for all agreements of the type, wherever they apply.
        """
        return [
            eula
            for eula in self.eulas
            if eula.type == eula_type and (zone_name is None or self.applies_in(eula, zone_name))
        ]

    def applies_in(self, eula: Eula, zone_name: str, country: str | None = None) -> bool:
        """Returns whether an agreement's zones and countries are empty or match.

        Args:
            eula: The agreement.
            zone_name: The zone; one that is not configured matches no agreement that is bound to zones.
            country: The country, or None for that of the zone; a zone that is not configured is in no country.
        """
        if country is None:
            country = self._countries.get(zone_name)
        return (not eula.zones or (zone_name in self._countries and zone_name in eula.zones)) and (
            not eula.countries or country in eula.countries
        )

    def that_concern(self, whereabouts: Whereabouts) -> list[Eula]:
        """Returns the agreements whose country, zone and tariffs all match.

        Args:
            whereabouts: Where the user is.
        """
        return [
            eula
            for eula in self.eulas
            if self.applies_in(eula, whereabouts.zone_name, whereabouts.country)
            and (not eula.tariffs or not whereabouts.tariffs or not eula.tariffs.isdisjoint(whereabouts.tariffs))
        ]
