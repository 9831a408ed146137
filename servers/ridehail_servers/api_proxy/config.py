"""The content of `api_proxy.yaml`."""

from __future__ import annotations

from pydantic import Field

from .card.config import CardConfig
from .launch.config import LaunchConfig
from .personal_state.config import PersonalStateConfig
from .tariffs.config import TariffsConfig


class ApiProxyConfig(TariffsConfig, CardConfig):
    """All of it: what tariffs and the card of a ride have at the top, and a member for each other feature.

    Attributes:
        launch: How launch finds riders' orders.
        personalstate: How the back ends of personal states are called.
    """

    launch: LaunchConfig = Field(alias="launch")
    personalstate: PersonalStateConfig = Field(alias="personalstate")
