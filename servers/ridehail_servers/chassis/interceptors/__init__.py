"""What happens to every call before its handler, outermost first.

1. `TelemetryInterceptor` gives the call its request id and sees how it ends, whatever ends it.
2. `ErrorInterceptor` turns what the others and the handler raise into statuses, so it is outside of all that raise.
3. `OverloadInterceptor` refuses work before any is done for it: verifying a ticket costs half as much as a whole call.
4. `AuthInterceptor` comes before anything that looks into the request: a stranger learns nothing of the rules.
5. `DeadlineInterceptor` bounds what the handler may take; refusing takes next to nothing.
6. `ValidationInterceptor` hands only requests that keep the contract's rules to the handler.

Health and reflection are open to all: they pass 3 to 6 untouched, so a busy server still answers its balancer.
"""

from .auth import AuthInterceptor
from .deadline import DeadlineInterceptor
from .errors import ErrorInterceptor
from .overload import OverloadInterceptor
from .telemetry import TelemetryInterceptor
from .validation import ValidationInterceptor

__all__ = [
    "AuthInterceptor",
    "DeadlineInterceptor",
    "ErrorInterceptor",
    "OverloadInterceptor",
    "TelemetryInterceptor",
    "ValidationInterceptor",
]
