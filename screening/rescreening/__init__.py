"""Re-screening: schedules, their firings, and the runs over the archive that firings open, pause and go on with."""
