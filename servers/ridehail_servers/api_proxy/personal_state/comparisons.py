"""Has the answers of both back ends compared, behind the riders' backs."""

from __future__ import annotations

from ridehail_clients import AsyncUserStateClient, JsonMismatch, ServiceError
from ridehail_kernel import call_context
from ridehail_servers.chassis.logs import get_logger

from .metrics import ComparisonOutcome, count_comparison
from .personal_states import Comparison

logger = get_logger(__name__)


async def compare(comparison: Comparison, user_state: AsyncUserStateClient) -> None:
    """Has a pair of answers compared. What comes out of it is kept and counted by user_state.

    Args:
        comparison: The pair.
        user_state: Compares.
    """
    try:
        with call_context.call_context(request_id=comparison.request_id):
            await user_state.compare_jsons(
                request_id=comparison.request_id,
                kind=comparison.kind,
                old=comparison.old.body,
                new=comparison.new.body,
                old_status=comparison.old.status,
                new_status=comparison.new.status,
            )
    except JsonMismatch:
        outcome = ComparisonOutcome.COMPARED
    except ServiceError as error:
        outcome = ComparisonOutcome.FAILED
        logger.warning("answers not compared", reason=error.REASON or error.code.name)
    except Exception as error:  # whatever a back end answered, its comparison is no reason to stop comparing
        outcome = ComparisonOutcome.FAILED
        logger.warning("answers not compared", reason="UNEXPECTED", exc_info=error)
    else:
        outcome = ComparisonOutcome.COMPARED
    count_comparison(comparison.kind, outcome)


def drop(comparison: Comparison) -> None:
    """Counts a pair of answers that is not compared.

    Args:
        comparison: The pair.
    """
    count_comparison(comparison.kind, ComparisonOutcome.DROPPED)
