"""Reports everything that is wrong at once: who has to mend it should not have to start again for each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from .errors import Explained, is_explained


class Problems(Explained):
    """One thing is wrong, or several; each has a line."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        super().__init__("; ".join(lines))


class ProblemList:
    """Collects what is wrong while one goes on."""

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    @property
    def lines(self) -> list[str]:
        """What was found, each once."""
        return list(self._lines)

    def add(self, lines: Iterable[str]) -> None:
        self._lines.update(dict.fromkeys(lines))

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Notes an explained failure of the block, and goes on after it."""
        try:
            yield
        except Exception as error:
            if not is_explained(error):
                raise
            self.add(lines_of(error))

    def raise_any(self) -> None:
        """Raises `Problems` if there were any."""
        if self._lines:
            raise Problems(*self._lines)


def lines_of(error: BaseException) -> list[str]:
    """Returns what an error says, a line for each thing that is wrong."""
    if isinstance(error, Problems):
        return list(error.lines)
    others = error.others if isinstance(error, Explained) else ()
    return [" ".join(str(one).split()) for one in (error, *others)]
