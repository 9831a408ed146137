"""Measurements. Compare figures of one run only: machines are noisy."""
