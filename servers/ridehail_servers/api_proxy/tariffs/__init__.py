"""Which tariffs a rider is shown, and which agreements the rider's zone asks for: `routestats` and `zoneinfo`."""
