"""Folders of a YTsaurus cluster, by URL: `yt://PROXY/PATH`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import parse_qsl, urlsplit

SCHEME = "yt"
EXAMPLE = "yt://yt.example.com/home/ridehail/archive"

# YPath gives other characters a meaning of their own.
_NODE = r"[A-Za-z0-9_][A-Za-z0-9_.\-]*"
_PATH = re.compile(rf"(/{_NODE})+/?")
_PROXY = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]{1,5})?")
_NAME = re.compile(r"[A-Za-z0-9_.\-]+")
_OPTIONS = frozenset({"tls", "hosts", "token_file", "proxy_role", "pool"})


@dataclass(frozen=True, slots=True)
class YtUrl:
    """A folder of a cluster, and how to reach it.

    Attributes:
        proxy: URL of the cluster's HTTP proxy. `tls=off` makes it one of plain text.
        path: The folder's path in the cluster's tree, as in `//home/ridehail/archive`.
        asks_for_hosts: Whether the proxy names others for reads and writes of tables, as large clusters have
            them; `hosts=off` sends all to the proxy itself, where those others cannot be reached.
        token_file: File with the token, or None for that of the environment.
        proxy_role: Which of these other proxies, or None for the default ones.
        pool: Pool of the scheduler for merges, or None for the user's own.
    """

    proxy: str
    path: str
    asks_for_hosts: bool = True
    token_file: Path | None = None
    proxy_role: str | None = None
    pool: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a URL.

        Raises:
            ValueError: It is none. The message repeats nothing of it but names of options: somebody may have put a
                token into it.
        """
        parts = urlsplit(text)
        if parts.scheme != SCHEME or parts.fragment or "@" in parts.netloc or not text.isprintable():
            raise ValueError(f"yt://PROXY/PATH is needed, as in {EXAMPLE}, and no user or token in it")
        if not _PROXY.fullmatch(parts.netloc) or not _PATH.fullmatch(parts.path):
            raise ValueError(
                f"yt://PROXY/PATH is needed, as in {EXAMPLE}: a host with or without a port, and names of letters,"
                " digits and _ . -"
            )
        options = _options(parts.query)
        token_file = options.get("token_file")
        for name in ("proxy_role", "pool"):
            if name in options and not _NAME.fullmatch(options[name]):
                raise ValueError(f"{name} takes letters, digits and _ . -")
        return cls(
            proxy=f"{'https' if _switch(options, 'tls') else 'http'}://{parts.netloc}",
            path=f"/{parts.path.rstrip('/')}",
            asks_for_hosts=_switch(options, "hosts"),
            token_file=Path(token_file) if token_file else None,
            proxy_role=options.get("proxy_role"),
            pool=options.get("pool"),
        )


def _options(query: str) -> dict[str, str]:
    pairs = parse_qsl(query, keep_blank_values=True)
    options = dict(pairs)
    if "token" in options:
        raise ValueError("a token in a URL would be in logs: write token_file=PATH, or set YT_TOKEN")
    unknown = sorted(options.keys() - _OPTIONS)
    if unknown or len(options) < len(pairs):
        raise ValueError(f"yt:// takes each of {', '.join(sorted(_OPTIONS))} once, and nothing else")
    return options


def _switch(options: dict[str, str], name: str) -> bool:
    value = options.get(name, "on")
    if value not in {"on", "off"}:
        raise ValueError(f"{name} is on or off")
    return value == "on"
