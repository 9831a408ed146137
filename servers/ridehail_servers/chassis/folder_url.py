"""Folders on this machine, in an object store or in a YTsaurus cluster, by URL."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from .yt_url import SCHEME as YT
from .yt_url import YtUrl

# Where a folder lasts, and where two writers cannot take each other's place unnoticed.
_STORES = {"s3", "s3a", "gs", "gcs", "az", "azure", "adl", "abfs", "abfss"}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)


def folder_url(text: str) -> str:
    """Returns the URL of a folder, without a slash at the end.

    Args:
        text: `file:PATH` or a path, which may be relative to the present folder; or a folder of an object store that
            deltalake knows, as in `s3://bucket/folder`; or one of a cluster, see `YtUrl`.

    Raises:
        ValueError: It names no folder.
    """
    match = _SCHEME.fullmatch(text)
    if match is None or match[1].lower() == "file":
        path = text if match is None else _file_path(match[2])
        if not path.strip() or "\0" in path:
            raise ValueError(f"a folder is needed, as in file:/var/lib/ridehail/archive, not {text!r}")
        return Path(path).absolute().as_uri()
    if match[1].lower() == YT:
        YtUrl.parse(text)
        return text
    if match[1].lower() not in _STORES or not re.fullmatch(r"//[^/\s]\S*", match[2]):
        raise ValueError(f"a path, file:PATH, s3://BUCKET/FOLDER or yt://PROXY/PATH is needed, not {text!r}")
    return text.rstrip("/")


def _file_path(rest: str) -> str:
    if not rest.startswith("//"):
        return rest
    host, slash, path = rest[2:].partition("/")
    if host not in {"", "localhost"}:
        raise ValueError(f"{host!r} is another machine: write file:///PATH")
    return unquote(slash + path)
