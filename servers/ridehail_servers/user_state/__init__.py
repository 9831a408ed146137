"""user_state: keeps what users have set for rides, and compares its answers with those of the old back end."""
