"""Tells the gateway which passenger makes a request, and whether the request may pass."""
