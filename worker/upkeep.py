"""Upkeep: the sweep, and the wake-ups that it finds to be missing."""

from datetime import timedelta

import structlog

from screening.database.transactions import committed
from screening.ledger.sweeping import Sweep, sweep
from screening.queue import QueueName
from screening.system import System
from screening.workers import forget_the_dead

log = structlog.get_logger()


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
