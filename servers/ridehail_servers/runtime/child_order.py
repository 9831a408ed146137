"""What one of our own processes is told by the one that starts it."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from ridehail_servers.chassis.settings import ProcessSettings

# The descriptor that the log goes to; standard error is for what others in the process print.
LOG_VARIABLE: Final = "RIDEHAIL_LOG_DESCRIPTOR"


class ChildOrder(BaseModel):
    """What a child is told to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Literal["serve", "work"]
    settings: ProcessSettings
