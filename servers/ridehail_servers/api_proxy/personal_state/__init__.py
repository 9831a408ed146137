"""Riders' personal states, from one of two back ends or from both, compared."""
