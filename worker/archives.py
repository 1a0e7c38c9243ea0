"""Visits of archives, in a thread of the upkeep process: however long one takes, sweeps and schedules go on."""

import threading
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy.exc import SQLAlchemyError

from screening.archives.registry import claim_visit, end_visit, renew_visit
from screening.archives.visiting import visit
from screening.database.schedule_tables import Archive
from screening.database.transactions import committed
from screening.errors import Refused
from screening.ledger.lease import Lease
from screening.storage import StorageError
from screening.system import System
from worker.keeping import kept_lease

log = structlog.get_logger()


class Visitor:
    """Visits one archive at a time; `begin_due` returns at once."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin_due(self) -> None:
        """Begin the visit that is due, unless one is under way here."""
        if (self._thread is not None and self._thread.is_alive()) or self._stopping.is_set():
            return
        now = self._system.clock()
        lease = Lease.new(now, self._system.settings.lease_s)
        archive = committed(self._system.database, partial(claim_visit, now=now, lease=lease))
        if archive is None:
            return
        self._thread = threading.Thread(target=self.visit_one, args=(archive, lease), name="visit", daemon=True)
        self._thread.start()

    def visit_one(self, archive: Archive, lease: Lease) -> None:
        """Visit a claimed archive, then give it back; where that fails, its lease expires."""
        held = threading.Event()
        held.set()

        def renew() -> None:
            until = self._system.clock() + timedelta(seconds=self._system.settings.lease_s)
            if not committed(self._system.database, lambda session: renew_visit(session, lease, until)):
                held.clear()

        def should_stop() -> bool:
            return self._stopping.is_set() or not held.is_set()

        try:
            with kept_lease(renew, self._system.settings.lease_s / 3):
                try:
                    done = visit(self._system, archive, lease, should_stop)
                    problem, whole = done.problem, done.whole
                    log.info("archive visited", archive=archive.url, found=done.found, admitted=done.admitted)
                except (StorageError, Refused) as error:
                    # It is tried again when the next visit is due.
                    problem, whole = str(error), True
                    log.error("archive not visited", archive=archive.url, error=problem)
            now = self._system.clock()
            committed(
                self._system.database,
                lambda session: end_visit(session, lease, now, whole=whole, problem=problem),
            )
        except SQLAlchemyError as error:
            log.error("visit of an archive ended, its lease will expire", archive=archive.url, error=str(error))

    def close(self) -> None:
        """Stop after the files in hand, and wait for that."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(20)
