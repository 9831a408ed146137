"""Calls over gRPC: channels, attempts, repeats, metadata and errors."""
