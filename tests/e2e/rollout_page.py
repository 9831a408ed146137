"""The runbook of the roll-out of user-state, as something that can be run."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.up import RIDEHAIL
from tests.support.waiting import LIMIT_S

PAGE = Path(__file__).parents[2] / "docs" / "personalstate-rollout.md"
_PREPARATION = "Before you begin"


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        section: Its heading.
        language: `sh`, `sh follow` (a job that goes on) or `promql`.
        text: What is in it.
        is_way_back: Whether it takes the section's others back.
    """

    section: str
    language: str
    text: str
    is_way_back: bool

    @property
    def is_edit(self) -> bool:
        """Whether it only edits files."""
        return self.language == "sh" and self.section != _PREPARATION and "ridehail" not in self.text


def blocks(section: str = "", *, way_back: bool | None = None) -> list[Block]:
    """Returns the blocks of the page, or of the sections whose heading begins so."""
    return [
        block
        for block in _blocks(PAGE.read_text())
        if block.section.startswith(section) and way_back in {None, block.is_way_back}
    ]


def _blocks(page: str) -> Iterator[Block]:
    for section in re.split(r"^## ", page, flags=re.M)[1:]:
        heading, _, text = section.partition("\n")
        back = text.find("\nWay back")
        for found in re.finditer(r"^```(sh|sh follow|promql)\n(.*?)^```$", text, re.M | re.S):
            yield Block(heading, found[1], found[2], -1 < back < found.start())


@dataclass(frozen=True)
class Shell:
    """The shell of a reader of the page."""

    environment: Mapping[str, str]

    def run(self, text: str) -> str:
        """Runs commands, and returns what they print."""
        ended = subprocess.run(
            ["bash", "-euc", self._prepared(text)],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            env={**os.environ, **self.environment},
            check=False,
        )
        assert ended.returncode == 0, f"{text}\n{ended.stdout}{ended.stderr}"
        return ended.stdout

    async def start(self, text: str) -> asyncio.subprocess.Process:
        """Starts a command that does not end."""
        return await asyncio.create_subprocess_exec(
            "bash",
            "-euc",
            f"exec {self._placed(text)}",
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={**os.environ, **self.environment},
        )

    def _prepared(self, text: str) -> str:
        (preparation,) = blocks(_PREPARATION)[:1]
        return f"{preparation.text}\n{self._placed(text)}"

    @staticmethod
    def _placed(text: str) -> str:
        return text.replace(".venv/bin/ridehail", str(RIDEHAIL))
