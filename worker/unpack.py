"""Unpacking: the members of claimed containers are admitted to their run, each with a receipt of its own."""

import itertools
import math
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.archives.references import ArchiveAway, reference_key
from screening.database.states import WorkState
from screening.database.tables import Container, Rendition, Run
from screening.database.transactions import committed
from screening.errors import Full
from screening.ledger.lease import SET_ASIDE_CODE, Lease
from screening.ledger.sweeping import complete_runs
from screening.ledger.unpacking import (
    ContainerClaim,
    claim_container,
    container_is_wanted,
    record_container_rejected,
    record_unpacked,
    release_container,
    renew_container,
    take_container_attempt_back,
)
from screening.queue import QueueName
from screening.radiographs.containers import Member
from screening.radiographs.limits import ContainerLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.unpacker import unpack
from screening.runs.intake import Arrival, admit_arrivals, check_not_cancelled, take_in
from screening.storage import ObjectMissing, StorageError, container_key
from screening.system import System
from worker.blame import may_be_elsewhere, other_originals, storage_is_away
from worker.keeping import kept_lease

log = structlog.get_logger()

GIVES_WAY_EVERY = 16
"""After so many members others have their turn; after more of them where more children are to be kept busy."""
COPIED_AT_ONCE = 32 << 20
_NOT_READ = (
    "This archive could not be read from storage and unpacked in {attempts} tries, so it was set aside. What came out "
    "of it before stays. Have the storage and the room for temporary files checked, then send it again."
)


class StoppedEarly(Exception):
    """The worker was asked to stop, or lost its lease, in the middle of a container."""


class Unpacking:
    """Unpacks containers one after the other; only a more urgent one comes between the members of another."""

    def __init__(
        self,
        system: System,
        limits: ContainerLimits,
        prepare: Callable[[Callable[[], bool]], object],
        children: int = 1,
    ) -> None:
        """prepare: prepares the most urgent scans in groups, for a slice at most, until what it is given says to stop;
        it asks that once before each group. children: how many scans it prepares at once."""
        self._system = system
        self._limits = limits
        self._prepare = prepare
        self._gives_way_every = max(GIVES_WAY_EVERY, children)

    def unpack_slice(self, should_stop: Callable[[], bool]) -> bool:
        """Unpack until nothing waits, the slice is over, or a stop is asked for. Returns whether work may be left."""
        end = time.monotonic() + self._system.settings.slice_s
        while not should_stop() and time.monotonic() < end:
            if not self._has_room():
                return False
            lease, claim = committed(self._system.database, self._claim)
            if claim is None:
                return False
            if not self._unpack(lease, claim, should_stop):
                return False
        return True

    def _has_room(self) -> bool:
        """Whether members may be stored; where not, the sweep asks again every few seconds."""
        try:
            self._system.capacity.check_space(0)
        except Full as reason:
            log.error("containers wait for room", reason=str(reason))
            return False
        return True

    def _claim(self, session: Session, beside_lane: int | None = None) -> tuple[Lease, ContainerClaim | None]:
        now = self._system.clock()
        lease = Lease.new(now, self._system.settings.lease_s)
        return lease, claim_container(session, lease, now, beside_lane)

    def _unpack(self, lease: Lease, claim: ContainerClaim, should_stop: Callable[[], bool]) -> bool:
        """Unpack one container; False where it was handed back and trying again at once would not help."""
        database, clock = self._system.database, self._system.clock
        lease_s = self._system.settings.lease_s

        def renew() -> None:
            until = clock() + timedelta(seconds=lease_s)
            committed(database, lambda session: renew_container(session, lease, claim.container_id, until))

        try:
            with kept_lease(renew, lease_s / 3):
                self._admit_members(claim, should_stop)
            committed(database, lambda session: record_unpacked(session, lease, clock(), claim.container_id))
        except Unscreenable as problem:
            self._reject(lease, claim, problem.code, str(problem))
        except ObjectMissing as reason:
            if may_be_elsewhere(self._system):
                self._hand_back(lease, claim, reason)
                return False
            self._reject(lease, claim, "original_missing", "The archive is not in storage any more. Send it again.")
        except (StoppedEarly, Full) as reason:
            self._hand_back(lease, claim, reason)
            if isinstance(reason, StoppedEarly):
                self._system.waker.wake(QueueName.PREPARE)  # Another worker may begin at once.
            return False
        except StorageError as error:
            if self._storage_is_away(claim, error):
                self._hand_back(lease, claim, error)
                return False
            if not self._set_aside(lease, claim, error):
                return True
        self._system.waker.wake(QueueName.PREPARE, QueueName.SCREEN)
        committed(database, lambda session: complete_runs(session, clock()))
        self._forget(claim)
        return True

    def _hand_back(self, lease: Lease, claim: ContainerClaim, reason: Exception) -> None:
        log.warning("container handed back", container=claim.file_name, reason=str(reason))
        committed(self._system.database, lambda session: release_container(session, lease, claim.container_id))
        self._system.waker.wake(QueueName.SCREEN)

    def _storage_is_away(self, claim: ContainerClaim, error: StorageError) -> bool:
        """Whether storage as a whole is away, and not only this container or the archive that holds it."""
        return not isinstance(error, ArchiveAway) and storage_is_away(
            self._system, [error], lambda session: other_originals(session, [claim.sha256])
        )

    def _set_aside(self, lease: Lease, claim: ContainerClaim, error: StorageError) -> bool:
        """Give up a container that alone fails, after too many attempts; else it is tried again when its lease ends.

        While the archive that holds it is away, no attempt counts.
        """
        log.error("container not unpacked", container=claim.file_name, error=str(error))
        if isinstance(error, ArchiveAway):
            committed(
                self._system.database, lambda session: take_container_attempt_back(session, lease, claim.container_id)
            )
            return False
        attempts = self._row(claim).attempts
        if attempts < self._system.settings.max_attempts:
            return False
        self._reject(lease, claim, SET_ASIDE_CODE, _NOT_READ.format(attempts=attempts))
        return True

    def _row(self, claim: ContainerClaim) -> Container:
        with self._system.database.read() as session:
            return session.get_one(Container, claim.container_id)

    def _forget(self, claim: ContainerClaim) -> None:
        """Delete what nobody has to unpack any more, unless the same bytes came again since and have no row yet."""
        with self._system.database.read() as session:
            wanted = container_is_wanted(session, claim.sha256)
        if wanted:
            return
        key, since = container_key(claim.sha256), self._row(claim).queued_at
        try:
            for stored in (key, reference_key(key)):
                self._system.storage.delete_unless_fresh(stored, since)
        except StorageError as error:
            log.warning("container stays until the next clean-up", container=claim.file_name, error=str(error))

    def _reject(self, lease: Lease, claim: ContainerClaim, code: str, reason: str) -> None:
        committed(
            self._system.database,
            lambda session: record_container_rejected(
                session, lease, self._system.clock(), claim.container_id, code, reason
            ),
        )

    def _admit_members(self, claim: ContainerClaim, should_stop: Callable[[], bool]) -> None:
        # A file without a name: however this process ends, nothing of it stays.
        with tempfile.TemporaryFile() as copy:
            self._copy(claim, copy, should_stop)
            number = -1
            for number, member in enumerate(unpack(Path(f"/dev/fd/{copy.fileno()}"), self._limits)):
                if should_stop():
                    raise StoppedEarly("the worker is stopping")
                self._admit(claim, member)
                if number % self._gives_way_every == 0:
                    lane = self._lane_of_run(claim.run_id)
                    self._system.capacity.check_space(0)
                    self._system.waker.wake(QueueName.PREPARE)
                    self._prepare_up_to(lane - 1, should_stop)
                    self._unpack_more_urgent(lane, should_stop)
                    self._prepare_up_to(lane, should_stop, groups=1)
            if number < 0:
                raise Unscreenable("empty", "The archive holds no files. Pack the pictures again and send it anew.")

    def _copy(self, claim: ContainerClaim, copy: BinaryIO, should_stop: Callable[[], bool]) -> None:
        with self._system.storage.open(container_key(claim.sha256)) as source:
            while _copy_piece(claim.file_name, source, copy):
                if should_stop():
                    raise StoppedEarly("the worker is stopping")
                self._prepare_up_to(self._lane_of_run(claim.run_id) - 1, should_stop)

    def _unpack_more_urgent(self, lane: int, should_stop: Callable[[], bool]) -> None:
        """Unpack what came meanwhile and is more urgent than this lane. The container in hand stays claimed: begun
        anew each time, a large one would never end."""
        while not should_stop():
            lease, more_urgent = committed(self._system.database, lambda session: self._claim(session, lane))
            if more_urgent is None or not self._unpack(lease, more_urgent, should_stop):
                return

    def _prepare_up_to(self, last_lane: int, should_stop: Callable[[], bool], groups: float = math.inf) -> None:
        """Have scans of this lane and of more urgent ones prepared first, for a slice and so many groups at most."""
        begun = itertools.count()

        def waits() -> bool:
            some = select(Rendition.scan_id).where(Rendition.state == WorkState.WAITING, Rendition.lane <= last_lane)
            with self._system.database.read() as session:
                return session.scalar(some.limit(1)) is not None

        self._prepare(lambda: should_stop() or next(begun) >= groups or not waits())

    def _admit(self, claim: ContainerClaim, member: Member) -> None:
        name = f"{claim.file_name}/{member.name}"
        if member.problem is not None or member.data is None:
            problem = member.problem or Unscreenable("damaged", "This file in the archive cannot be read.")
            admit_arrivals(self._system, claim.run_id, [Arrival(name, None, 0, refusal=problem)], claim.container_id)
            return
        with self._system.storage.receive() as incoming:
            incoming.write(member.data)
            take_in(self._system, claim.run_id, name, incoming, claim.container_id)

    def _lane_of_run(self, run_id: int) -> int:
        """Raises Unscreenable where the run was cancelled."""
        with self._system.database.read() as session:
            run = session.get_one(Run, run_id)
        check_not_cancelled(run)
        return run.lane


def _copy_piece(name: str, source: BinaryIO, copy: BinaryIO) -> bool:
    """Returns whether there was anything left to copy."""
    try:
        piece = source.read(COPIED_AT_ONCE)
        copy.write(piece)
        copy.flush()
    except OSError as error:
        raise StorageError(f"{name} cannot be copied to be unpacked ({error.strerror})") from error
    return bool(piece)
