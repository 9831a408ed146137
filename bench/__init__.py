"""Measurements. Figures of one run are comparable with each other only: machines are noisy."""
