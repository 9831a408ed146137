"""A million apps that come back after an outage: how their polls arrive, by the rules of the product."""
