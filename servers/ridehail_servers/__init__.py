"""The servers of the suite."""
