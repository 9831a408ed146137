"""passenger_authorizer: which passenger makes a request at the gateway, and whether it may pass."""
