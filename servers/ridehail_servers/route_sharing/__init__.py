"""route_sharing: who may watch a ride."""
