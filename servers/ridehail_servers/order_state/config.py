"""The content of `order_state.yaml`."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from .polling_policy import PartPolicy, PollingPolicy, Service

_DAY_S = 86_400
_YEAR_H = 8_784


class OrderStateConfig(BaseModel):
    """The content of `order_state.yaml`.

    Attributes:
        max_active_orders: Service -> how many orders a rider may have at once; a service that is left out has no limit.
        retry_interval_s: Polls query a provider about one rider no more often than this.
        tag_ttl_s: An older poll token means "query now".
        provider_timeout_ms: Timeout of a query.
        kept_finished_h: Orders that ended are deleted this long after their latest change ...
        kept_h: ... and all others after this long.
        polling_policy: How each part is polled.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_active_orders: dict[Service, Annotated[int, Field(strict=True, ge=0, le=100)]] = {}
    retry_interval_s: int = Field(default=5, strict=True, ge=1, le=_DAY_S)
    tag_ttl_s: int = Field(default=3_600, strict=True, ge=1, le=_DAY_S)
    provider_timeout_ms: int = Field(default=300, strict=True, ge=1, le=1_000)
    kept_finished_h: int = Field(default=48, strict=True, ge=1, le=_YEAR_H)
    kept_h: int = Field(default=720, strict=True, ge=1, le=_YEAR_H)
    polling_policy: tuple[PartPolicy, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> OrderStateConfig:
        if self.tag_ttl_s < self.retry_interval_s:
            raise _error(("tag_ttl_s",), self.tag_ttl_s, "must not be less than retry_interval_s")
        if self.kept_h < self.kept_finished_h:
            raise _error(("kept_h",), self.kept_h, "must not be less than kept_finished_h")
        seen: set[tuple[str, str]] = set()
        for number, one in enumerate(self.polling_policy):
            if (one.service, one.part_name) in seen:
                raise _error(
                    ("polling_policy", number, "part_name"), one.part_name, "'{value}' is given twice for one service"
                )
            seen.add((one.service, one.part_name))
        return self

    @cached_property
    def policy(self) -> PollingPolicy:
        """The entries of `polling_policy` by priority."""
        return PollingPolicy(self.polling_policy)

    @property
    def retry_interval(self) -> timedelta:
        return timedelta(seconds=self.retry_interval_s)

    @property
    def poll_token_ttl(self) -> timedelta:
        return timedelta(seconds=self.tag_ttl_s)


def _error(key: tuple[int | str, ...], value: object, reason: str) -> ValidationError:
    problem = PydanticCustomError("order_state", reason, {"value": value})
    return ValidationError.from_exception_data(
        "OrderStateConfig", [InitErrorDetails(type=problem, loc=key, input=value)]
    )
