"""A user's decisions about agreements, kept on the phone until they are saved."""
