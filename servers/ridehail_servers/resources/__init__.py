"""The plain files that ship with the servers: `config/`, `deploy/` and `migrations/` of the repository.

In an installed wheel they are inside this package (setup.py puts them there); in a checkout they are the repository's
own folders.
"""

from pathlib import Path
from typing import Literal

_INSTALLED = Path(__file__).parent
_CHECKOUT = Path(__file__).parents[3]


def folder(name: Literal["config", "deploy", "migrations"]) -> Path:
    """Returns the folder's path on disk."""
    installed = _INSTALLED / name
    return installed if installed.is_dir() else _CHECKOUT / name
