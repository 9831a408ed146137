"""How long toll_roads keeps its rows, and the archive that they go to."""
