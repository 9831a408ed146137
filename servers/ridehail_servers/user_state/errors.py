"""What user_state refuses beyond what every back end of personal states does."""

import json
from collections.abc import Sequence

from ridehail_servers.chassis.errors import DomainError


class JsonMismatch(DomainError):
    """Two answers to the same request differ."""

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
