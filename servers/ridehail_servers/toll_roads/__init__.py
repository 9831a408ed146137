"""toll_roads: which offers and orders can use a toll road, and which road an order uses."""
