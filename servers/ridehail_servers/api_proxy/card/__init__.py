"""The card of a ride under way: `taxiontheway`."""
