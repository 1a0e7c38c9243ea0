"""Backups: rows of one moment as JSON lines, objects by their hash, and the way back into an empty installation."""
