"""The content of `order_state.yaml`."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from ridehail_servers.chassis.text_rules import Name

from .polling_policy import PartPolicy, PollingPolicy, Service
from .polling_schedule import PollingSchedule, next_poll_ms
from .reporters import ForeignReports

_DAY_S = 86_400
_YEAR_H = 8_784


MemberName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")]


class InvalidPartsConfig(BaseModel):
    """What is kept of parts that apps could not put together.

    Attributes:
        report_interval_s: An app reports no more often.
        kept_days: How long counts and samples are kept.
        samples_per_part: How many shapes of a part are kept, the latest ones.
        names: Names of members that samples show, beside those of the parts' fields.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    report_interval_s: int = Field(default=300, strict=True, ge=1, le=_DAY_S)
    kept_days: int = Field(default=14, strict=True, ge=1, le=366)
    samples_per_part: int = Field(default=20, strict=True, ge=1, le=200)
    names: frozenset[MemberName] = Field(default=frozenset(), max_length=1_000)


class OrderStateConfig(BaseModel):
    """The content of `order_state.yaml`.

    Attributes:
        max_active_orders: Service -> how many orders a rider may have at once; a service that is left out has no limit.
        retry_interval_s: Polls query a provider about one rider no more often than this.
        tag_ttl_s: An older poll token means "query now".
        provider_timeout_ms: Timeout of a query.
        kept_finished_h: Orders that ended are deleted this long after their latest change ...
        kept_h: ... and all others after this long.
        polling_interval_s: How often an app polls, or None if apps pace themselves.
        polling_longest_pause_s: The longest pause of an app whose polls fail.
        polling_policy: How each part is polled.
        reporters: Caller -> services whose orders it may report, beside its own.
        foreign_reports: What becomes of a report that the caller may not make.
        invalid_parts: What is kept of parts that apps could not put together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_active_orders: dict[Service, Annotated[int, Field(strict=True, ge=0, le=100)]] = {}
    retry_interval_s: int = Field(default=5, strict=True, ge=1, le=_DAY_S)
    tag_ttl_s: int = Field(default=3_600, strict=True, ge=1, le=_DAY_S)
    provider_timeout_ms: int = Field(default=300, strict=True, ge=1, le=1_000)
    kept_finished_h: int = Field(default=48, strict=True, ge=1, le=_YEAR_H)
    kept_h: int = Field(default=720, strict=True, ge=1, le=_YEAR_H)
    polling_interval_s: int | None = Field(default=None, strict=True, ge=1, le=3_600)
    polling_longest_pause_s: int = Field(default=300, strict=True, ge=1, le=_DAY_S)
    polling_policy: tuple[PartPolicy, ...] = ()
    reporters: dict[Name, frozenset[Service]] = {}
    foreign_reports: ForeignReports = ForeignReports.COUNT
    invalid_parts: InvalidPartsConfig = InvalidPartsConfig()

    @model_validator(mode="after")
    def _fits_together(self) -> OrderStateConfig:
        if self.tag_ttl_s < self.retry_interval_s:
            raise _error(("tag_ttl_s",), self.tag_ttl_s, "must not be less than retry_interval_s")
        if self.kept_h < self.kept_finished_h:
            raise _error(("kept_h",), self.kept_h, "must not be less than kept_finished_h")
        if self.polling_longest_pause_s < (self.polling_interval_s or 0):
            raise _error(
                ("polling_longest_pause_s",), self.polling_longest_pause_s, "must not be less than polling_interval_s"
            )
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

    def schedule(self, yandex_uid: str, now: datetime) -> PollingSchedule | None:
        """Returns when a rider's app polls, or None if it paces itself; `now` is aware."""
        if self._pauses_ms is None:
            return None
        interval_ms, longest_ms = self._pauses_ms
        return PollingSchedule(
            interval_ms, next_poll_ms(yandex_uid, int(now.timestamp() * 1_000), interval_ms), longest_ms
        )

    @cached_property
    def _pauses_ms(self) -> tuple[int, int] | None:
        """The interval and the longest pause."""
        if self.polling_interval_s is None:
            return None
        return self.polling_interval_s * 1_000, self.polling_longest_pause_s * 1_000

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
