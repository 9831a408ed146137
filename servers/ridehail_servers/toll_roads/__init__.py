"""toll_roads: which offers and orders can go by a toll road, and which road an order goes by."""
