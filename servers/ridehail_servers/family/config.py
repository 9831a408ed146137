"""The content of `family.yaml`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .invitation import InvitationLimits


class FamilyConfig(BaseModel):
    """The content of `family.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    invitations: InvitationLimits = Field(default_factory=InvitationLimits)
