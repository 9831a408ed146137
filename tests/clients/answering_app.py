"""An app in a process of its own: gives answer after answer, and prints each that the flow has taken.

Arguments: address, file, name of the first agreement, how many answers, `answer` or `save_kept`.
"""

from __future__ import annotations

import sys

from ridehail_clients import EulaDecision, EulasFlow, EulaState, PassengerEulasClient, RetryPolicy


def tell(line: str) -> None:
    """Prints a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    target, file, name, count, work = sys.argv[1:]
    quick = RetryPolicy(attempts=1)
    with PassengerEulasClient(target, session_token="anna", retry=quick, attempt_timeout=30) as client:
        flow = EulasFlow(
            client, file, account="anna", retry=RetryPolicy(attempts=100, initial_backoff_s=0.01, max_backoff_s=0.01)
        )
        tell("ready")
        if work == "save_kept":
            report = flow.save_kept()
            tell(f"{len(report.saved)} {len(report.unsaved)}")
            return
        for number in range(int(count)):
            flow.answer([EulaDecision(f"{name}-{number}", EulaState.ACCEPTED)])
            tell(f"{name}-{number}")


if __name__ == "__main__":
    main()
