"""Failures that whoever runs a program can do something about."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeGuard

if TYPE_CHECKING:
    import psycopg


class Explained(Exception):
    """A failure whose message tells all that there is to know: a traceback would only hide it."""


def is_explained(error: BaseException) -> bool:
    """Returns whether a program that ends by an error should print its message alone."""
    return isinstance(error, Explained | OSError | ValueError) or is_database_error(error)


def is_database_error(error: BaseException) -> TypeGuard[psycopg.Error]:
    """Returns whether an error is one of the database's driver, without loading that."""
    driver = sys.modules.get("psycopg")
    return driver is not None and isinstance(error, driver.Error)
