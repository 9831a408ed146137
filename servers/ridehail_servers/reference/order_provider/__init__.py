"""order_provider: keeps the orders of one service; run once for each service that has orders of this kind."""
