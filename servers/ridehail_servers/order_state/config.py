"""The content of `order_state.yaml`."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from ridehail_servers.chassis.text_rules import Id

from .keepers import KEEPERS
from .polling_policy import PartPolicy, PollingPolicy

_LARGEST_INT32 = 2**31 - 1
_DAY_S = 86_400
_YEAR_H = 8_784


def _checked_service(value: str) -> str:
    if value not in KEEPERS:
        raise PydanticCustomError("service", "must be one of {services}", {"services": ", ".join(KEEPERS)})
    return value


Service = Annotated[str, AfterValidator(_checked_service)]


class ConfiguredPart(BaseModel):
    """An entry of `polling_policy`: how a part of a service's orders is polled.

    Attributes:
        service: The service.
        part_name: The part.
        url: The path where apps fetch it.
        fields: The fields of the answer that make it up.
        polling_type: `tag_defined`, or a rule of the apps' own.
        part_type: What the app's card makes of it.
        priority: The lowest number is fetched first.
        required: Whether the card needs it; None: the policy does not say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: Service
    part_name: Id
    url: str = Field(pattern=r"^/\S*$", max_length=1_024)
    fields: tuple[Id, ...] = ()
    polling_type: Id
    part_type: Id
    priority: int = Field(strict=True, ge=0, le=_LARGEST_INT32)
    required: bool | None = Field(default=None, strict=True)

    def part(self) -> PartPolicy:
        """Returns the entry as the rules know it."""
        return PartPolicy(
            service=self.service,
            part_name=self.part_name,
            url=self.url,
            fields=self.fields,
            polling_type=self.polling_type,
            part_type=self.part_type,
            priority=self.priority,
            required=self.required,
        )


class OrderStateConfig(BaseModel):
    """The content of `order_state.yaml`.

    Attributes:
        max_active_orders: Service -> how many orders a rider may have at once; a service that is left out has no limit.
        retry_interval_s: Polls have a service asked about one rider no more often than this.
        tag_ttl_s: An opaque tag that is older means "ask now".
        provider_timeout_ms: How long a service is waited for.
        kept_finished_h: Orders that ended are forgotten this long after the last that was told of them ...
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
    polling_policy: tuple[ConfiguredPart, ...] = ()

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
        """The polling policy as the rules know it."""
        return PollingPolicy([one.part() for one in self.polling_policy])

    @property
    def retry_interval(self) -> timedelta:
        """See `retry_interval_s`."""
        return timedelta(seconds=self.retry_interval_s)

    @property
    def tag_ttl(self) -> timedelta:
        """See `tag_ttl_s`."""
        return timedelta(seconds=self.tag_ttl_s)


def _error(key: tuple[int | str, ...], value: object, reason: str) -> ValidationError:
    problem = PydanticCustomError("order_state", reason, {"value": value})
    return ValidationError.from_exception_data(
        "OrderStateConfig", [InitErrorDetails(type=problem, loc=key, input=value)]
    )
