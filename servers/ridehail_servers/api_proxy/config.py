"""The content of `api_proxy.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ridehail_clients import EulaState
from ridehail_servers.chassis.text_rules import Name

from .card.config import CardPatience, KeptFor
from .personal_state.config import PersonalStateConfig

# In the file it is a word, not yet a value of the enumeration.
Status = Annotated[EulaState, Field(strict=False)]


# Banners of a set that is not listed are kept for as long as these.
_DEFAULT = "default"


def _with_default(kept: dict[str, KeptFor]) -> dict[str, KeptFor]:
    if _DEFAULT not in kept:
        raise ValueError(f"{_DEFAULT} is missing")
    return kept


# The design's names of keys -> ours, which tell the unit.
_OTHER_NAMES: Mapping[object, str] = MappingProxyType(
    {"EULAS_ENABLED": "EULAS_SERVICE_ENABLED", "EULAS_TIMEOUT": "EULAS_TIMEOUT_MS"}
)


class EulaRequirement(BaseModel):
    """What a tariff asks of riders' agreements.

    Attributes:
        eula_type: The type of agreement.
        is_eula_required: False: the tariff is shown to everybody, and the rest is kept for later.
        eula_statuses: The tariff is shown to riders with one of these statuses.
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


@dataclass(frozen=True, slots=True)
class Patience:
    """How long eulas is waited for.

    Attributes:
        attempt_s: The longest that one attempt may take, in seconds.
        attempts: The most attempts, the first included; at least 1.
    """

    attempt_s: float
    attempts: int

    @property
    def whole_s(self) -> float:
        """The longest that all attempts may take, in seconds."""
        return self.attempt_s * self.attempts


class LaunchConfig(BaseModel):
    """How launch learns of riders' orders.

    Attributes:
        orders_state: `stage1`: launch asks the services that keep orders, and hands order_state what they answer;
            `stage2`: order_state asks them itself.
        provider_timeout_ms: Milliseconds for each service that keeps orders to answer; they are asked all at once.
        order_state_timeout_ms: Milliseconds for order_state to answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    orders_state: Literal["stage1", "stage2"]
    provider_timeout_ms: int = Field(default=300, ge=1, le=10_000)
    order_state_timeout_ms: int = Field(default=500, ge=1, le=10_000)


class ApiProxyConfig(BaseModel):
    """How api_proxy answers. In the file the names are in capitals, but for `launch`.

    Attributes:
        eulas_service_enabled: Whether eulas is asked at all.
        eulas_timeout_ms: Milliseconds for one attempt to ask eulas.
        eulas_retries: The most attempts after the first.
        routestats_eula_requirements_for_categories_in_zone: Zone -> tariff -> what it requires.
        launch: How launch learns of riders' orders.
        taxi_on_the_way: How long the card of a ride waits for each service.
        inapp_totw_stories_cache_control: Set of banners -> for how long they are kept; `default`: any other set's.
        personalstate: How the back ends of personal states are asked; in small letters.
    """

    # No defaults: a file that is read while it is being written must not pass for one that says nothing.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=str.upper)

    eulas_service_enabled: bool
    eulas_timeout_ms: int = Field(ge=1, le=10_000)
    eulas_retries: int = Field(ge=0, le=10)
    routestats_eula_requirements_for_categories_in_zone: dict[Name, dict[Name, EulaRequirement]]
    launch: LaunchConfig = Field(alias="launch")
    taxi_on_the_way: CardPatience
    inapp_totw_stories_cache_control: Annotated[dict[Name, KeptFor], AfterValidator(_with_default)]
    personalstate: PersonalStateConfig = Field(alias="personalstate")

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

    @property
    def patience(self) -> Patience:
        """How long eulas is waited for."""
        return Patience(attempt_s=self.eulas_timeout_ms / 1000, attempts=self.eulas_retries + 1)

    def requirements_of(self, zone_name: str) -> Mapping[str, EulaRequirement]:
        """Returns what the tariffs of a zone require; empty for a zone that is not configured.

        Args:
            zone_name: The zone.
        """
        return self.routestats_eula_requirements_for_categories_in_zone.get(zone_name, {})

    def promos_ttl_s(self, banner_set: str) -> int:
        """Returns for how many seconds banners are kept; 0: not at all.

        Args:
            banner_set: The set that they are of; empty: of none. Then it may be that they could not be told.
        """
        if not banner_set:
            return 0
        kept = self.inapp_totw_stories_cache_control
        return kept.get(banner_set, kept[_DEFAULT]).ttl_s
