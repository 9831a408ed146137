"""Errors of user_state, besides those that both back ends of personal states share."""

import json
from collections.abc import Sequence

from ridehail_servers.chassis.errors import DomainError


class JsonMismatch(DomainError):
    """Two responses to the same request differ."""

    def __init__(self, paths: Sequence[str], *, statuses_differ: bool, truncated: bool) -> None:
        super().__init__(
            "JSON_MISMATCH",
            "the answers differ",
            {
                "paths": json.dumps(list(paths), separators=(",", ":")),
                "statuses": "differ" if statuses_differ else "same",
                "truncated": "true" if truncated else "false",
            },
        )
