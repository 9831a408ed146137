"""Who may call what: `access.yaml`.

Everything that is not listed is denied. A served method that is not listed stops the start, and makes a reload refused.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, model_validator

from .config import Refused


class AccessPolicy(BaseModel):
    """The content of `access.yaml`.

    Attributes:
        callers: Every service that may appear below; a name that is missing here is a typing error.
        methods: Full method name (`package.Service/Method`) -> the callers that may call it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    callers: frozenset[str]
    methods: dict[str, frozenset[str]]

    @model_validator(mode="after")
    def _only_known_callers(self) -> AccessPolicy:
        unknown = [
            f"{method}: {caller!r} is not among `callers`"
            for method, callers in self.methods.items()
            for caller in sorted(callers - self.callers)
        ]
        if unknown:
            raise ValueError("; ".join(unknown))
        return self

    def check_lists(self, methods: Iterable[str]) -> None:
        """Raises `Refused` with those of the methods, named without a leading slash, that are not listed."""
        if missing := [method for method in dict.fromkeys(methods) if method not in self.methods]:
            raise Refused("methods", f"{', '.join(missing)} {'has' if len(missing) == 1 else 'have'} no entry")
