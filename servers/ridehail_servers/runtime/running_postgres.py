"""The database of a running `ridehail up`."""

from __future__ import annotations

from pathlib import Path

import psutil
from psycopg import conninfo

DATABASE = "ridehail"
_SUPERUSER = "postgres"


def running_database_url(folder: Path) -> str | None:
    """Returns the URL of the suite's database on the server that runs in a directory, or None if none does.

    Starts nothing and changes nothing.
    """
    try:
        # One a line: process, data, start, port, folder of the socket, ...
        pid, _data, _start, port, socket_folder, *_rest = (folder / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    if not pid.strip().isdecimal() or not psutil.pid_exists(int(pid)):
        return None
    return conninfo.make_conninfo(dbname=DATABASE, user=_SUPERUSER, host=socket_folder.strip(), port=port.strip())
