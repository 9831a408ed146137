"""eulas: which agreements a user has to see, has accepted or has rejected."""
