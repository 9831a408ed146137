"""Postgres that fails over by Patroni, under the suite: what its riders see, and that nothing is lost."""
