"""The files in which a server's processes keep their metrics, one for each kind and process.

prometheus_client writes to them through mapped memory, and the file system allocates space at the first write to each
page: on a full disk that ends the process by SIGBUS. So a process allocates all the space when it starts, and its
parent frees what it has not used. https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
import struct
from contextlib import suppress
from pathlib import Path

from prometheus_client import multiprocess

from ridehail_servers.chassis.errors import Explained

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
KINDS = ("counter", "gauge_livemax", "gauge_livemin", "gauge_livemostrecent", "gauge_livesum", "gauge_max", "histogram")
"""All kinds of metrics that the suite has."""

# What prometheus_client begins with. A file that is full grows to the double; the suite's stay below.
_SIZE_BYTES = 1024 * 1024
_USED = struct.Struct("i")


def reserve() -> None:
    """Allocates the space for this process' metrics, if they are kept in files."""
    folder = os.environ.get(VARIABLE)
    if folder is None or not hasattr(os, "posix_fallocate"):  # macOS has none
        return
    try:
        for kind in KINDS:
            with Path(folder, f"{kind}_{os.getpid()}.db").open("ab") as file:
                os.posix_fallocate(file.fileno(), 0, _SIZE_BYTES)
    except OSError as error:
        raise Explained(f"no room for figures of metrics in {folder}: {error.strerror}") from error


def give_back(folder: Path, pid: int) -> None:
    """Removes an ended process' metrics that count only while it lives, and the space that the others do not use."""
    with suppress(OSError):
        multiprocess.mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
        for file in folder.glob(f"*_{pid}.db"):
            with file.open("r+b") as content:
                used = content.read(_USED.size)
                if len(used) == _USED.size and 0 <= _USED.unpack(used)[0] < file.stat().st_size:
                    content.truncate(max(_USED.unpack(used)[0], 2 * _USED.size))
