"""Programs of the cluster that come from elsewhere: etcd and HAProxy from the system, Patroni from an index."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.go_programs import ToolMissing

PATRONI: Final = "4.1.5"
_BUILT: Final = Path(__file__).parents[2] / "build" / "tools"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_INSTALL_S: Final = 300


@dataclass(frozen=True)
class Tools:
    """Where the programs are."""

    etcd: str
    haproxy: str


@dataclass(frozen=True)
class Patroni:
    """Patroni's packages, and an interpreter for them."""

    python: str
    packages: Path

    def node(self, file: Path) -> list[str]:
        """Returns the command of a node."""
        return [self.python, "-m", "patroni", str(file)]

    def control(self, file: Path, *words: str) -> list[str]:
        """Returns a command of `patronictl`."""
        return [self.python, "-c", "from patroni.ctl import ctl; ctl()", "-c", str(file), *words]


def found() -> Tools:
    """Returns the programs of the system.

    Raises:
        ToolMissing: One is not there; the message says how it can be had.
    """
    programs = {name: shutil.which(name, path=_PATH) for name in ("etcd", "haproxy")}
    etcd, haproxy = programs["etcd"], programs["haproxy"]
    if etcd is None or haproxy is None:
        missing = " and ".join(name for name, program in programs.items() if program is None)
        raise ToolMissing(f"{missing} not installed; on Debian: apt-get install etcd-server haproxy")
    return Tools(etcd, haproxy)


def patroni(user: str | None) -> Patroni:
    """Returns Patroni for a user of the system, or for ours; installs it, pinned, when it is first needed.

    Raises:
        ToolMissing: It cannot be installed, or the user can run no Python.
    """
    python = next((it for it in (sys.executable, "/usr/bin/python3") if _runs(it, user)), None)
    if python is None:
        raise ToolMissing(
            f"the user {user}, as whom Postgres runs, can run neither {sys.executable} nor /usr/bin/python3"
        )
    version = _output([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
    folder = _BUILT / f"patroni-{PATRONI}-python{version}"
    if not folder.exists():
        fresh = folder.with_name(f"{folder.name}.{os.getpid()}")  # others may be installing it as well
        uv = str(Path(sys.executable).with_name("uv"))
        words = ["pip", "install", "--quiet", "--python", python, "--target", str(fresh)]
        try:
            _output([uv, *words, f"patroni[etcd3,psycopg3]=={PATRONI}"])
        except subprocess.SubprocessError as error:
            raise ToolMissing(
                f"Patroni {PATRONI} cannot be installed: {getattr(error, 'stderr', '') or error}"
            ) from error
        fresh.rename(folder)
    return Patroni(python, folder)


def _output(command: Sequence[str]) -> str:
    ended = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_S)
    return ended.stdout.strip()


def _runs(python: str, user: str | None) -> bool:
    with suppress(OSError):
        return subprocess.run([python, "-c", ""], user=user, cwd="/", check=False).returncode == 0
    return False
