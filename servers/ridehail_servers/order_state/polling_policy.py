"""Decides which parts of orders are polled, how, and in which order they are fetched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from ridehail_servers.chassis.text_rules import Id

from .orders import PROVIDERS

_MAX_INT32 = 2**31 - 1


def _checked_service(value: str) -> str:
    if value not in PROVIDERS:
        raise PydanticCustomError("service", "must be one of {services}", {"services": ", ".join(PROVIDERS)})
    return value


Service = Annotated[str, AfterValidator(_checked_service)]


class PartPolicy(BaseModel):
    """An entry of `polling_policy`: how a part of a service's orders is polled.

    Attributes:
        url: The path where apps fetch it.
        fields: The fields of the response that make it up.
        polling_type: `tag_defined`, or a rule of the apps' own.
        part_type: What the app's card makes of it.
        priority: The lowest number is fetched first.
        required: Whether the card needs it, or None if the policy does not say.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    service: Service
    part_name: Id
    url: str = Field(pattern=r"^/\S*$", max_length=1_024)
    fields: tuple[Id, ...] = ()
    polling_type: Id
    part_type: Id
    priority: int = Field(strict=True, ge=0, le=_MAX_INT32)
    required: bool | None = Field(default=None, strict=True)


class PollingPolicy:
    """The parts that are configured.

    Args:
        parts: In any order; each part of a service once. Those of equal priority keep their order.
    """

    def __init__(self, parts: Iterable[PartPolicy]) -> None:
        self._parts = tuple(sorted(parts, key=lambda part: part.priority))
        names: dict[str, list[str]] = {}
        for part in self._parts:
            names.setdefault(part.service, []).append(part.part_name)
        self._names = {service: tuple(own) for service, own in names.items()}
        self._fields = {
            (part.service, part.part_name): frozenset(name for path in part.fields for name in path.split("."))
            for part in self._parts
        }

    def parts_of(self, services: Collection[str]) -> list[PartPolicy]:
        """Returns the parts of some services, by priority."""
        return [part for part in self._parts if part.service in services]

    def part_names(self, service: str) -> Sequence[str]:
        """Returns the names of a service's parts, by priority."""
        return self._names.get(service, ())

    def names_of_fields(self, service: str, part_name: str) -> frozenset[str]:
        """Returns the names in the fields that make up a part; none of a part that is not configured."""
        return self._fields.get((service, part_name), frozenset())
