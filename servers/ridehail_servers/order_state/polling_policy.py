"""How the parts of orders are polled, and in which order they are fetched."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartPolicy:
    """How a part of a service's orders is polled.

    Attributes:
        service: The service.
        part_name: The part.
        url: The path where apps fetch it.
        fields: The fields of the answer that make it up.
        polling_type: `tag_defined`, or a rule of the apps' own.
        part_type: What the app's card makes of it.
        priority: The lowest number is fetched first.
        required: Whether the card needs it; None: not said.
    """

    service: str
    part_name: str
    url: str
    fields: tuple[str, ...]
    polling_type: str
    part_type: str
    priority: int
    required: bool | None


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

    def parts_of(self, services: Collection[str]) -> list[PartPolicy]:
        """Returns the parts of some services, by priority.

        Args:
            services: Their names; those without parts do not matter.
        """
        return [part for part in self._parts if part.service in services]

    def part_names(self, service: str) -> Sequence[str]:
        """Returns the names of a service's parts, by priority.

        Args:
            service: Any; one without parts has none.
        """
        return self._names.get(service, ())
