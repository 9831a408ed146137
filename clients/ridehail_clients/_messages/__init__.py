"""Builds requests from Python values and reads answers into them; both flavours of the clients share it."""
