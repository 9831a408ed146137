"""A watchdog for each machine of the cluster: who does not come by in time is reset.

Patroni's driver `testing` speaks to a named pipe as to /dev/watchdog. A reset is a kill of all that the machine runs.
"""

from __future__ import annotations

import os
import re
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_TIMEOUT: Final = re.compile(rb"Ctimeout=(\d+)\n")
_LOOK_S: Final = 0.1
_PIPE_BYTES: Final = 65536
# It is closed in order only after this letter.
_MAGIC_CLOSE: Final = b"V"


class MachineWatchdog:
    """Resets the machine when nothing was written for the time that was asked for, until it is closed in order.

    Attributes:
        resets: When it did so, in Unix seconds.
    """

    def __init__(self, pipe: Path, reset: Callable[[], None]) -> None:
        """Makes the pipe, which its user may write to, and begins to watch; `reset` is called in another thread."""
        self.resets: list[float] = []
        self._reset = reset
        os.mkfifo(pipe)
        pipe.chmod(0o622)
        # Open for both: the pipe never ends, whoever closes it at the other side.
        self._file = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        self._timeout_s = 60.0
        self._expires: float | None = None
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def is_armed(self) -> bool:
        return self._expires is not None

    def disarm(self) -> None:
        """Forgets what was written: the machine is about to be started anew."""
        with self._lock:
            with suppress(BlockingIOError):
                os.read(self._file, _PIPE_BYTES)
            self._expires = None

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()
        os.close(self._file)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            if select.select([self._file], [], [], _LOOK_S)[0]:
                with self._lock, suppress(BlockingIOError):
                    self._heed(os.read(self._file, _PIPE_BYTES))
            elif self._expires is not None and time.monotonic() > self._expires:
                self._expires = None
                self.resets.append(time.time())
                self._reset()

    def _heed(self, written: bytes) -> None:
        if found := _TIMEOUT.search(written):
            self._timeout_s = float(found[1])
        self._expires = None if written.endswith(_MAGIC_CLOSE) else time.monotonic() + self._timeout_s
