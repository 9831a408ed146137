"""The `ridehail` command in the test's own process; `up.cli` runs it in one of its own."""

from __future__ import annotations

import io
import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from ridehail_servers import cli


def ridehail(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs a command to its end; not for those that serve."""
    printed, complained = io.StringIO(), io.StringIO()
    mask = os.umask(0o077)
    os.umask(mask)
    code: object = 0
    with mock.patch.dict(os.environ, environment or {}), redirect_stdout(printed), redirect_stderr(complained):
        try:
            cli.main(arguments)
        except SystemExit as ended:
            code = ended.code
        finally:
            os.umask(mask)
    assert code is None or isinstance(code, int)
    return subprocess.CompletedProcess(arguments, code or 0, printed.getvalue(), complained.getvalue())


def with_printed(text: str, environment: Mapping[str, str] | None = None) -> str:
    """Replaces each `$(ridehail ...)` in a shell command by its output."""

    def printed(found: re.Match[str]) -> str:
        ended = ridehail(*shlex.split(found[1]), environment=environment)
        assert ended.returncode == 0, f"{found[0]}\n{ended.stderr}"
        return ended.stdout.strip()

    return re.sub(r"\$\(\S*ridehail ([^()]*)\)", printed, text)
