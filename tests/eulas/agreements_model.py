"""A simple model of eulas, which the service is compared with.

Nothing here is shared with the servers. A timestamp is a number of seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Agreement = dict[str, Any]


@dataclass
class Decided:
    """A user's latest decision on an agreement."""

    status: str
    revision: int
    until: int


@dataclass
class Model:
    """Everything there is: what is configured, what time it is, what one user decided."""

    eulas: list[Agreement]
    zones: dict[str, str]
    now: int = 0
    decided: dict[str, Decided] = field(default_factory=dict)
    log: list[tuple[str, str, int, str]] = field(default_factory=list)

    def configured(self, eula_id: str) -> Agreement | None:
        return next((eula for eula in self.eulas if eula["eula_id"] == eula_id), None)

    def status(self, eula_id: str) -> str:
        decided, eula = self.decided.get(eula_id), self.configured(eula_id)
        if decided is None or self.now >= decided.until:
            return "unknown"
        if eula is not None and eula["revision"] > decided.revision:
            return "unknown"
        return decided.status

    def save(self, batch: list[tuple[str, str]], source: str) -> str:
        """Returns OK or a reason."""
        for eula_id, status in batch:
            eula = self.configured(eula_id)
            if eula is None:
                return "EULA_NOT_FOUND"
            if status == "rejected" and not eula["rejectable"]:
                return "EULA_NOT_REJECTABLE"
        for eula_id, status in sorted(dict(batch).items()):
            eula = self.configured(eula_id)
            assert eula is not None
            self.decided[eula_id] = Decided(status, eula["revision"], self.now + eula["ttl_s"])
            self.log.append((eula_id, status, eula["revision"], source))
        return "OK"

    def listed(self, wanted: str, zone: str, tariffs: list[str]) -> list[tuple[str, str]]:
        everything = [*self._unknown(zone, tariffs), *self._signed()]
        kept = {
            "unknown": {"unknown"},
            "accepted": {"accepted"},
            "rejected": {"rejected"},
            "signed": {"accepted", "rejected"},
            "all": {"unknown", "accepted", "rejected"},
        }[wanted]
        positions = {eula["eula_id"]: position for position, eula in enumerate(self.eulas)}
        shown = [(eula_id, status) for eula_id, status in everything if status in kept]
        return sorted(shown, key=lambda one: (positions.get(one[0], len(positions)), one[0]))

    def _signed(self) -> list[tuple[str, str]]:
        return [(eula_id, self.status(eula_id)) for eula_id in self.decided if self.status(eula_id) != "unknown"]

    def _unknown(self, zone: str, tariffs: list[str]) -> list[tuple[str, str]]:
        found = []
        for eula in self.eulas:
            here = not eula.get("zones") or zone in eula["zones"]
            country = not eula.get("countries") or self.zones.get(zone) in eula["countries"]
            tariff = not eula.get("tariffs") or not tariffs or set(tariffs) & set(eula["tariffs"])
            if here and country and tariff and self.status(eula["eula_id"]) == "unknown":
                found.append((eula["eula_id"], "unknown"))
        return found

    def checked(self, eula_id: str) -> tuple[str, str, str]:
        eula = self.configured(eula_id)
        return (eula_id, "", "unknown") if eula is None else (eula_id, eula["type"], self.status(eula_id))

    def checked_type(self, eula_type: str, zone: str | None = None) -> tuple[str, str, str]:
        of_type = [
            eula["eula_id"]
            for eula in self.eulas
            if eula["type"] == eula_type
            and (zone is None or not eula.get("zones") or zone in eula["zones"])
            and (zone is None or not eula.get("countries") or self.zones.get(zone) in eula["countries"])
        ]
        for status in ("accepted", "rejected"):
            for eula_id in of_type:
                if self.status(eula_id) == status:
                    return eula_id, eula_type, status
        return "", eula_type, "unknown"
