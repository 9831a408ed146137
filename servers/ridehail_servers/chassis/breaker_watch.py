"""Shows which dependencies of a service are given up for the moment."""

from __future__ import annotations

from ridehail_clients import BreakerObserver

from .logs import get_logger
from .metrics import BREAKERS_OPEN

logger = get_logger(__name__)


def breaker_observer(service: str, dependency: str) -> BreakerObserver:
    """Returns what counts and logs the breakers of a dependency that open and close."""

    def observe(path: str, /, *, is_open: bool) -> None:
        method = path.removeprefix("/")
        gauge = BREAKERS_OPEN.labels(service, dependency, method)
        if is_open:
            gauge.inc()
            logger.warning("dependency gets no calls", dependency=dependency, method=method)
        else:
            gauge.dec()
            logger.info("dependency answers again", dependency=dependency, method=method)

    return observe
