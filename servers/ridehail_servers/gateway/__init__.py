"""The suite's only HTTP door: derives Envoy's configuration from the contracts."""
