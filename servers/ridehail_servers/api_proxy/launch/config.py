"""How launch finds riders' orders: its part of `api_proxy.yaml`, and what it reads of `order_state.yaml`."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ridehail_servers.chassis.text_rules import Name

_MAX_SECONDS: Final = 86_400


class LaunchConfig(BaseModel):
    """How launch finds riders' orders.

    Attributes:
        orders_state: `stage1`: launch asks the services that keep orders, and sends order_state what they return;
            `stage2`: order_state asks them itself.
        provider_timeout_ms: Timeout of each service that keeps orders; they are all asked at once.
        order_state_timeout_ms: Timeout of order_state.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    orders_state: Literal["stage1", "stage2"]
    provider_timeout_ms: int = Field(default=300, ge=1, le=10_000)
    order_state_timeout_ms: int = Field(default=500, ge=1, le=10_000)


class PollingPolicyEntry(BaseModel):
    """How a part of orders is polled; the members are those of `ridehail.orderstate.v1.PollingPolicy`."""

    # What is right and what may be left out is order_state's to judge.
    model_config = ConfigDict(extra="ignore", frozen=True)

    service: Name
    part_name: Name
    url: str
    fields: tuple[str, ...] = ()
    polling_type: str
    part_type: str
    priority: int = Field(strict=True, ge=-(2**31), lt=2**31)
    required: bool | None = Field(default=None, strict=True)


class PollingRules(BaseModel):
    """How orders are polled.

    Attributes:
        max_active_orders: Service -> how many orders a rider may have under way.
        polling_interval_s: How often an app polls, or None if apps pace themselves.
        polling_longest_pause_s: The longest pause of an app whose polls fail.
        polling_policy: How each part is polled.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    polling_interval_s: int | None = Field(default=None, strict=True, ge=1, le=_MAX_SECONDS)
    polling_longest_pause_s: int = Field(default=300, strict=True, ge=1, le=_MAX_SECONDS)
    max_active_orders: dict[Name, Annotated[int, Field(strict=True, ge=0)]] = {}
    polling_policy: tuple[PollingPolicyEntry, ...] = ()

    @cached_property
    def services(self) -> frozenset[str]:
        """The services that the file names."""
        return frozenset([*self.max_active_orders, *(part.service for part in self.polling_policy)])
