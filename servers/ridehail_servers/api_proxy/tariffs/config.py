"""What `api_proxy.yaml` says about tariffs and eulas."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ridehail_clients import EulaState
from ridehail_servers.chassis.text_rules import Name

# In the file it is a word, not yet a value of the enumeration.
Status = Annotated[EulaState, Field(strict=False)]

# The design's names of keys -> ours, which name the unit.
_OTHER_NAMES: Mapping[object, str] = MappingProxyType(
    {"EULAS_ENABLED": "EULAS_SERVICE_ENABLED", "EULAS_TIMEOUT": "EULAS_TIMEOUT_MS"}
)


class EulaRequirement(BaseModel):
    """What a tariff asks of riders' agreements.

    Attributes:
        eula_type: The type of agreement.
        is_eula_required: False: everybody sees the tariff, and the rest is kept for later.
        eula_statuses: Riders with one of these statuses see the tariff.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    eula_type: Name
    is_eula_required: bool
    eula_statuses: list[Status]

    @model_validator(mode="after")
    def _can_be_met(self) -> EulaRequirement:
        if self.is_eula_required and not self.eula_statuses:
            raise ValueError("eula_statuses must not be empty where is_eula_required is true")
        return self


class TariffsConfig(BaseModel):
    """How tariffs are filtered and eulas is called. In the file the names are in capitals.

    Attributes:
        eulas_service_enabled: Whether eulas is called at all.
        eulas_timeout_ms: Timeout of one attempt to call eulas.
        eulas_retries: Attempts after the first at most.
        routestats_eula_requirements_for_categories_in_zone: Zone -> tariff -> what it requires.
    """

    # No defaults: a file that is read while it is being written must not pass for one that says nothing.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=str.upper)

    eulas_service_enabled: bool
    eulas_timeout_ms: int = Field(ge=1, le=10_000)
    eulas_retries: int = Field(ge=0, le=10)
    routestats_eula_requirements_for_categories_in_zone: dict[Name, dict[Name, EulaRequirement]]

    @model_validator(mode="before")
    @classmethod
    def _other_names(cls, content: object) -> object:
        """Takes the names that the design of agreements gives these keys; a key that is there by both is refused."""
        if not isinstance(content, dict):
            return content
        return {
            _OTHER_NAMES.get(key, key) if _OTHER_NAMES.get(key) not in content else key: value
            for key, value in content.items()
        }

    def requirements_of(self, zone_name: str) -> Mapping[str, EulaRequirement]:
        """Returns what the tariffs of a zone require; empty for a zone that is not configured."""
        return self.routestats_eula_requirements_for_categories_in_zone.get(zone_name, {})
