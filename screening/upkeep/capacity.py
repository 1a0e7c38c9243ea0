"""How much more may come in: free space, quota and waiting work, looked at before an upload does damage.

Each measure is taken at most once a second (the quota, which adds up all originals, every ten), whatever number of
requests ask. So the reserve must cover what can arrive in a second. Every five seconds it is looked whose the storage
is: what is written where a disk is not mounted is out of sight when it is again.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.states import LIVE_RUNS, UNFINISHED
from screening.database.tables import Job, Run, Scan
from screening.errors import Busy, Full
from screening.ledger.claiming import queued_up_to
from screening.ledger.due import waiting_up_to
from screening.storage import Storage
from screening.storage.folder import free_bytes_of
from screening.upkeep.ownership import storage_is_anothers

SPACE_AGAIN_S = 60
"""When to come back after a refusal for want of space: a person has to make some."""
WORK_AGAIN_S = 15
QUOTA_MEASURED_EVERY_S = 10.0
OWN_LOOKED_EVERY_S = 5.0
T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    reserve_bytes: int
    """Free space that uploads leave for renditions and the database."""
    quota_bytes: int
    """Originals may take so much of the storage in all; 0 for no quota."""
    most_waiting: int
    """Renditions to be made and jobs to be screened, of a lane and those before it."""


@dataclass(frozen=True)
class Space:
    free: int | None
    """Bytes on the disk of the storage folder or of the SQLite file, whichever has less; None where neither tells."""
    kept: int | None
    """Bytes of all originals in storage; None without a quota."""
    room: int | None
    """What uploads may still bring; None where nothing limits it."""


class Capacity:
    """Refuses uploads that would not find room. One for each process; its measures are shared by all threads."""

    def __init__(self, database: Database, storage: Storage, limits: Limits) -> None:
        self.limits = limits
        self._database = database
        self._storage = storage
        self._free = _Measured(self._measure_free, 1.0)
        self._kept = _Measured(self._measure_kept, QUOTA_MEASURED_EVERY_S)
        self._is_anothers = _Measured(lambda: storage_is_anothers(database, storage), OWN_LOOKED_EVERY_S)
        self._waiting: dict[int, _Measured[int]] = {}

    def check(self, lane: int, size_bytes: int) -> None:
        """Raises Full where so many more bytes do not fit, Busy where the queue of this lane is too long."""
        self.check_space(size_bytes)
        waiting = self.waiting(lane)
        if waiting >= self.limits.most_waiting:
            raise Busy(
                "queue_full",
                f"{waiting:,} pictures wait to be screened already, and at most {self.limits.most_waiting:,} may. "
                "Wait until some are done; sending goes on then.",
                WORK_AGAIN_S,
            )

    def check_space(self, size_bytes: int) -> None:
        """Raises Full where so many more bytes do not fit, or the storage is not that of this installation;
        StorageError."""
        if self._is_anothers.value():
            raise Full(
                "storage_not_own",
                "The server's storage is not the one it had; its disk may not be mounted, so nothing is taken. Ask its "
                "operator to see to it; sending goes on then.",
                SPACE_AGAIN_S,
            )
        room = self.space().room
        if room is not None and (room <= 0 or size_bytes > room):
            raise Full(
                "storage_full",
                f"The server has room for {max(0, room) // 1_000_000:,} MB more, which is not enough. "
                "Ask its operator to make room; sending goes on then.",
                SPACE_AGAIN_S,
            )

    def space(self) -> Space:
        free, kept = self._free.value(), self._kept.value() if self.limits.quota_bytes else None
        rooms = []
        if free is not None:
            rooms.append(free - self.limits.reserve_bytes)
        if kept is not None:
            rooms.append(self.limits.quota_bytes - kept)
        return Space(free, kept, min(rooms, default=None))

    def waiting(self, lane: int) -> int:
        """Work that is at least as urgent as this lane and waits, counted no further than the limit.

        An urgent run is thus not held up by a long routine queue, and nobody by the archive.
        """
        measured = self._waiting.setdefault(lane, _Measured(lambda: self._measure_waiting(lane), 1.0))
        return measured.value()

    def _measure_free(self) -> int | None:
        found = [self._storage.free_bytes()]
        if self._database.is_sqlite and self._database.url.database:
            found.append(free_bytes_of(Path(self._database.url.database).resolve().parent))
        return min((free for free in found if free is not None), default=None)

    def _measure_kept(self) -> int:
        with self._database.read() as session:
            return bytes_kept(session)

    def _measure_waiting(self, lane: int) -> int:
        most = self.limits.most_waiting
        with self._database.read() as session:
            renditions = waiting_up_to(session, most, lane)
            return renditions + queued_up_to(session, most - renditions, lane) if renditions < most else most


def bytes_kept(session: Session) -> int:
    """What all originals in storage take. Those that stay in their archive take nothing."""
    kept = (Scan.original_removed_at.is_(None), ~Scan.original_in_place)
    # PostgreSQL sums to a decimal.
    return int(session.scalar(select(func.sum(Scan.size_bytes)).where(*kept)) or 0)


class _Measured(Generic[T]):
    """A value that is measured again only when it is older than `for_s`."""

    def __init__(self, measure: Callable[[], T], for_s: float) -> None:
        self._measure = measure
        self._for_s = for_s
        self._lock = threading.Lock()
        self._latest: tuple[float, T] | None = None

    def value(self) -> T:
        with self._lock:
            if self._latest is None or time.monotonic() - self._latest[0] > self._for_s:
                self._latest = time.monotonic(), self._measure()
            return self._latest[1]


def oldest_waiting_s(session: Session, now: datetime) -> float:
    """Age of the oldest unfinished job of a run that is not paused, in seconds; 0 where none is left.

    A night that waits for its next window is no delay, and neither is what a person has paused.
    """
    live = Run.state.in_(LIVE_RUNS)
    unfinished = select(func.min(Job.created_at)).join(Run, Run.id == Job.run_id).where(live, Job.state.in_(UNFINISHED))
    oldest = session.scalar(unfinished)
    return (now - oldest).total_seconds() if oldest else 0.0
