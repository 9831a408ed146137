"""Agreements that an admin keeps in the database: changes, their history, and who has to decide again after them."""
