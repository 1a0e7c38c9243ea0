"""Runs: opened, filled with scans, submitted, watched, steered."""
