"""Exports and erases the data of one user over all services."""
