"""What a rider's app is told when it starts: its orders and how to poll them, and the agreements that it accepted."""
