"""user_state: stores what users have set for rides, and compares its responses with those of the old back end."""
