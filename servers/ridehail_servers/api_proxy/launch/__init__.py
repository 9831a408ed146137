"""What a rider's app needs when it starts: its orders, how to poll them, and the agreements that it accepted."""
