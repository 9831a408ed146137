"""What all transports limit alike."""

KEEPALIVE_MS = 60_000
KEEPALIVE_TIMEOUT_MS = 20_000
# More than the gateway lets through; gRPC would refuse calls at random from 8 KiB on.
MAX_METADATA_BYTES = 32 * 1024
