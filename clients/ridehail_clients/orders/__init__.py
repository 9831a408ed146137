"""A rider's orders, as an app polls and shows them."""
