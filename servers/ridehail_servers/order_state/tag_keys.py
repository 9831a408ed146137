"""The secrets that opaque tags are signed with."""

from __future__ import annotations

from pathlib import Path

from ridehail_servers.chassis.keys import KeysMissing, read_secret

TAG_KEYS_FILE = "order-state-tags.key"
"""In the folder of keys: one secret a line. The last one signs, all of them verify."""

_SHORTEST = 16


def read_tag_keys(keys_dir: Path) -> list[str]:
    """Returns the secrets, the one that signs last.

    Args:
        keys_dir: The folder of keys.

    Raises:
        KeysMissing: The file cannot be read, others can read it, or a secret is too short.
    """
    file = keys_dir / TAG_KEYS_FILE
    secrets = read_secret(file).split()
    if not secrets or min(map(len, secrets)) < _SHORTEST:
        raise KeysMissing(f"{file} must hold one secret a line, each of {_SHORTEST} characters or more")
    return secrets
