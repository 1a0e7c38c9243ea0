"""Upkeep: the sweep, and the wake-ups that it finds to be missing."""

import time
from datetime import timedelta

import structlog
from sqlalchemy import func, select

from screening.database.engine import Database
from screening.database.tables import Job
from screening.database.transactions import committed
from screening.ledger.sweeping import Sweep, sweep
from screening.queue import QueueName
from screening.system import System
from screening.workers import forget_the_dead

log = structlog.get_logger()

RENEWED_EVERY_S = 600.0
LARGE = 50_000
"""Jobs."""


def sweep_once(system: System) -> Sweep:
    """Take back expired leases, close finished runs, and wake the workers that have something to do."""
    settings = system.settings
    longest = timedelta(seconds=settings.lease_s)
    found = committed(system.database, lambda session: sweep(session, system.clock(), settings.max_attempts, longest))
    committed(system.database, lambda session: forget_the_dead(session, system.clock()))
    if found.wake_prepare:
        system.waker.wake(QueueName.PREPARE)
    if found.wake_screen:
        system.waker.wake(QueueName.SCREEN)
    if found.jobs or found.renditions or found.containers:
        log.warning("expired leases taken back", jobs=found.jobs, renditions=found.renditions)
    return found


class Statistics:
    """What SQLite plans by, renewed every ten minutes: without it filters over a large archive take seconds.

    A small installation needs none, and those of tables that are just being filled would mislead.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._looked_at: float | None = None

    def keep(self) -> None:
        if self._looked_at is not None and time.monotonic() - self._looked_at < RENEWED_EVERY_S:
            return
        self._looked_at = time.monotonic()
        with self._database.read() as session:
            jobs = session.scalar(select(func.max(Job.id))) or 0
        if jobs >= LARGE:
            self._database.renew_statistics()
