"""protocol: the old back end of personal states, with one document a user."""
