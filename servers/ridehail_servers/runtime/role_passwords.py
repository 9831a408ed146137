"""Passwords of the database's roles, in files as libpq reads them (`passfile` in a URL)."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Final

from ridehail_servers.chassis.keys import read_secret

from .data_dir import write_secret

FILE: Final = "pgpass"


def role_password(folder: Path, role: str) -> str:
    """Returns the password of a role from `pgpass` in a folder; makes both where they do not exist."""
    file = folder / FILE
    if not file.exists() or not file.stat().st_size:  # who wrote it may have been killed
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_secret(file, f"*:*:*:{role}:{secrets.token_urlsafe(24)}\n")
    return read_secret(file).strip().rpartition(":")[2]
