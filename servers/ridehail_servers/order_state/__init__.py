"""order_state: which orders a rider has, which parts of them an app should fetch again, and how to poll."""
