"""protocol: the old back end of personal states, which keeps one document a user."""
