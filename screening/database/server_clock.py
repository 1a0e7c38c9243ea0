"""The time of the database server, so that leases mean the same to machines whose own clocks are apart."""

import threading
import time
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from screening.clock import Clock, utc_now
from screening.database.engine import Database

log = structlog.get_logger()

COMPARED_EVERY_S = 60.0
ALIKE = timedelta(seconds=1)
"""So near are clocks that somebody keeps; what is left is mostly the way there and back."""


def clock_of(database: Database) -> Clock:
    """What all processes of an installation tell the time by. SQLite is of one machine, and so is its clock."""
    return utc_now if database.is_sqlite else ServerClock(database)


class ServerClock:
    """This machine's clock, put right by what it was apart from the server's when they were compared last.

    A worker that is behind would give leases that are over already, and one that is ahead would keep them for too long.
    Where the server does not answer, the last comparison holds.
    """

    def __init__(self, database: Database, own: Clock = utc_now) -> None:
        self._database = database
        self._own = own
        self._apart = timedelta(0)
        self._compared_at: float | None = None
        self._comparing = threading.Lock()

    def __call__(self) -> datetime:
        if self._is_due() and self._comparing.acquire(blocking=False):
            try:
                self._compare()
            finally:
                self._compared_at = time.monotonic()
                self._comparing.release()
        return self._own() + self._apart

    def _is_due(self) -> bool:
        return self._compared_at is None or time.monotonic() - self._compared_at > COMPARED_EVERY_S

    def _compare(self) -> None:
        try:
            with self._database.read() as session:
                before = self._own()
                server = session.execute(select(func.clock_timestamp())).scalar_one()
                after = self._own()
        except SQLAlchemyError as error:
            log.warning("the database's clock was not asked", error=str(error))
            return
        apart = server - (before + (after - before) / 2)
        was, self._apart = self._apart, apart if abs(apart) > ALIKE else timedelta(0)
        if abs(self._apart - was) > ALIKE:
            log.warning("this machine's clock is not the database's", seconds=round(self._apart.total_seconds(), 1))
