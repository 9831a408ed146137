"""Which statuses of an order are final."""

from typing import Final

FINAL_STATUSES: Final = ("cancelled", "complete", "expired", "failed", "finished")
"""The values of `order.status` after which nothing happens to an order any more. An order with any other status, or
with none, is under way. The index `orders_active_idx` is made for exactly these, so a change here needs a migration."""
