"""A clock that a test or a benchmark turns, and that worker processes read anew whenever they ask for the time."""

from datetime import datetime, timedelta
from pathlib import Path

from screening.clock import utc_now

VARIABLE = "SCREENING_TEST_CLOCK"
"""Environment variable that names the clock's file; `tests.integration.rescreening.clocked_app` reads it."""


class Clock:
    """Kept as a file with the seconds by which it is ahead of the true time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ahead = timedelta()
        self.turn_to(utc_now())

    def turn_to(self, moment: datetime) -> None:
        self._ahead = moment - utc_now()
        partial = self._path.with_suffix(".new")
        partial.write_text(str(self._ahead.total_seconds()))
        partial.replace(self._path)

    def now(self) -> datetime:
        return utc_now() + self._ahead
