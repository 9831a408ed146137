"""The official client of YTsaurus as the archive uses it: waits are bounded, and nothing private gets out."""

from __future__ import annotations

import http.client
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ridehail_servers.chassis.extras import needs_extra
from ridehail_servers.chassis.yt_url import YtUrl

from .archive import ArchiveFailed

with needs_extra("yt"):
    from yt.wrapper import YtClient
    from yt.wrapper.driver import make_formatted_request
    from yt.wrapper.errors import YtError
    from yt.wrapper.http_helpers import get_retriable_errors

_MAX_REASON = 300

# The client's own handler prints each attempt, with its requests.
_LOG = logging.getLogger("Yt")
_LOG.handlers.clear()
_LOG.propagate = True
_LOG.setLevel(logging.CRITICAL)


@dataclass(frozen=True, slots=True)
class YtTimeouts:
    """How long one piece of work may take. All in seconds.

    Attributes:
        connect_s: One connection.
        request_s: One request that reads or writes no table.
        table_s: Each wait for a proxy while a table is read or written.
        transaction_s: How long a transaction of a writer that was killed stays, and keeps others out.
        total_s: All attempts of a batch, of the search for the last one, or of the read of one day. Longer than
            `transaction_s`, so a run outlasts the transaction of one that was killed.
        merge_s: An operation that merges the chunks of a day.
        pause_s: The first pause between attempts; each is twice as long as the one before.
        max_pause_s: The longest pause.
    """

    connect_s: float = 5
    request_s: float = 10
    table_s: float = 30
    transaction_s: float = 30
    total_s: float = 90
    merge_s: float = 600
    pause_s: float = 0.5
    max_pause_s: float = 5


def connect(cluster: YtUrl, timeouts: YtTimeouts) -> YtClient:
    """Returns a client of a cluster; it connects with its first request.

    Raises:
        ArchiveFailed: The token's file cannot be read.
    """
    if cluster.token_file is not None and not os.access(cluster.token_file, os.R_OK):
        raise ArchiveFailed(f"the token file {cluster.token_file} of the archive cannot be read")
    return YtClient(config=_configuration(cluster, timeouts))


def _configuration(cluster: YtUrl, timeouts: YtTimeouts) -> dict[str, Any]:
    # A light request is repeated under one mutation id, by which the cluster knows it.
    once_more = {
        "enable": True,
        "count": 3,
        "total_timeout": _ms(2 * timeouts.request_s),
        "backoff": {"policy": "constant_time", "constant_time": _ms(timeouts.pause_s)},
    }
    token_path = cluster.token_file or os.environ.get("YT_TOKEN_PATH")
    return {
        "backend": "http",
        "proxy": {
            "url": cluster.proxy,
            "enable_proxy_discovery": cluster.asks_for_hosts,
            "http_proxy_role": cluster.proxy_role,
            "connect_timeout": _ms(timeouts.connect_s),
            "request_timeout": _ms(timeouts.request_s),
            "heavy_request_timeout": _ms(timeouts.table_s),
            "retries": once_more,
        },
        "token": None if cluster.token_file else os.environ.get("YT_TOKEN") or None,
        "token_path": None if token_path is None else str(token_path),
        "allow_receive_token_by_current_ssh_session": False,
        "transaction_timeout": _ms(timeouts.transaction_s),
        # How late the thread that pings a transaction sees that it has ended.
        "transaction_sleep_period": 20,
        # The default interrupts the process. A transaction that was not pinged fails at its commit.
        "ping_failed_mode": "pass",
        "write_retries": {"enable": False},
        "write_parallel": {"enable": False},
        "write_progress_bar": {"enable": False},
        "read_retries": {"enable": False, "create_transaction_and_take_snapshot_lock": False},
        "get_operation_retries": once_more,
    }


def hurry(client: YtClient) -> None:
    """Has the client's later requests, such as that which ends a transaction, fail soon. From any thread."""
    client.config["proxy"]["retries"]["enable"] = False
    client.config["proxy"]["request_timeout"] = _ms(1)


def start_transaction(client: YtClient, title: str, timeouts: YtTimeouts) -> str:
    """Starts a transaction, and returns its id.

    As the client does, but without this process's command line, which may hold passwords.
    """
    timeout = _ms(timeouts.transaction_s)
    started = _request(client, "start_transaction", timeout=timeout, attributes={"title": title}, type="master")
    return str(started["transaction_id"])


def start_merge(client: YtClient, path: str, title: str, pool: str | None) -> str:
    """Starts an operation that writes a table again, in fewer chunks, and returns its id.

    It belongs to the present transaction. As the client does, but without its search of the cluster before.
    """
    spec = {
        "title": title,
        "input_table_paths": [path],
        "output_table_path": path,
        "mode": "ordered",
        "combine_chunks": True,
        **({"pool": pool} if pool else {}),
    }
    return str(_request(client, "start_operation", operation_type="merge", spec=spec)["operation_id"])


def _request(client: YtClient, command: str, **parameters: object) -> Any:  # as the cluster sends it
    return make_formatted_request(command, parameters, format=None, client=client)


FAILURES: tuple[type[Exception], ...] = (YtError, OSError, http.client.HTTPException, *get_retriable_errors())
"""What the client raises: errors of its own, of connections, and of the libraries that it brings."""


def is_passing(error: Exception) -> bool:
    """Returns whether a repeat may succeed."""
    if isinstance(error, ArchiveFailed):
        return False
    if not isinstance(error, YtError):
        return True
    return (
        isinstance(error, get_retriable_errors())
        or error.is_no_such_transaction()
        or error.is_concurrent_transaction_lock_conflict()
    )


def reason_of(error: Exception) -> str:
    """Returns what went wrong, without the requests and the traces that the client's own text has."""
    texts = list(dict.fromkeys(_messages(error.simplify()))) if isinstance(error, YtError) else [str(error)]
    return " ".join(": ".join(texts).split())[:_MAX_REASON] or type(error).__name__


def _messages(error: Any) -> Iterator[str]:  # as the cluster sends it
    yield str(error.get("message", ""))
    for inner in error.get("inner_errors", ()):
        yield from _messages(inner)


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
