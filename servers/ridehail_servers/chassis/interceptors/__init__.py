"""What happens to every call before its handler, outermost first.

1. `Telemetry` gives the call its request id and sees how it ends, whatever ends it.
2. `Errors` turns what the others and the handler raise into statuses, so it is outside of all that raise.
3. `OverloadLimit` refuses work before any is done for it: verifying a ticket costs half as much as a whole call. Most
   refusals need no layer at all: `LayeredHandlers` makes them.
4. `Authentication` comes before anything that looks into the request: no stranger can find out the rules.
5. `Deadline` bounds what the handler may take; refusing takes next to nothing.
6. `Validation` hands only requests that keep the contract's rules to the handler.

`LayeredHandlers` is what gRPC sees of them. Health and reflection are open to all: they pass none of the layers, so a
busy server still responds to its balancer.
"""

from .auth import Authentication
from .deadline import Deadline
from .errors import Errors
from .layers import LayeredHandlers, Registrations
from .overload import Admission, OverloadLimit, ProcessCalls
from .telemetry import Telemetry
from .validation import Validation

__all__ = [
    "Admission",
    "Authentication",
    "Deadline",
    "Errors",
    "LayeredHandlers",
    "OverloadLimit",
    "ProcessCalls",
    "Registrations",
    "Telemetry",
    "Validation",
]
