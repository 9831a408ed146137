"""Runs the suite: processes, the embedded Postgres and Envoy, and the data directory they live in."""
