"""What order_state exports."""

from prometheus_client import Counter

POLLS = Counter(
    "ridehail_order_state_polls",
    "Polls of apps, by kind: plain (no service is asked) or tagged (the app wants some asked).",
    ("kind",),
)
PROVIDER_FAILURES = Counter(
    "ridehail_order_state_provider_failures",
    "Questions about a rider's orders that a service left unanswered, by the reason.",
    ("provider", "reason"),
)
UNRECORDED = Counter(
    "ridehail_order_state_unrecorded", "Lists of orders that could not be stored for the polls to come.", ("provider",)
)
