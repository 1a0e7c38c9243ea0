"""Unpacking: the members of claimed containers are admitted to their run, each with a receipt of its own."""

import shutil
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy.orm import Session

from screening.database.states import RunState
from screening.database.tables import Run
from screening.database.transactions import committed
from screening.errors import Full
from screening.ledger.lease import Lease
from screening.ledger.sweeping import complete_runs
from screening.ledger.unpacking import (
    ContainerClaim,
    claim_container,
    container_is_wanted,
    record_container_rejected,
    record_unpacked,
    release_container,
    renew_container,
)
from screening.queue import QueueName
from screening.radiographs.containers import Member
from screening.radiographs.limits import ContainerLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.unpacker import unpack
from screening.runs.intake import Arrival, admit_arrivals, take_in
from screening.storage import ObjectMissing, StorageError, container_key
from screening.system import System
from worker.keeping import kept_lease

log = structlog.get_logger()


class StoppedEarly(Exception):
    """The worker was asked to stop, or lost its lease, in the middle of a container."""


class Unpacking:
    """Unpacks containers one after the other."""

    def __init__(self, system: System, limits: ContainerLimits) -> None:
        self._system = system
        self._limits = limits

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

    def _claim(self, session: Session) -> tuple[Lease, ContainerClaim | None]:
        now = self._system.clock()
        lease = Lease.new(now, self._system.settings.lease_s)
        return lease, claim_container(session, lease, now)

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
        except ObjectMissing:
            self._reject(lease, claim, "original_missing", "The archive is not in storage any more. Send it again.")
        except (StorageError, StoppedEarly, Full) as reason:
            log.warning("container handed back", container=claim.file_name, reason=str(reason))
            committed(database, lambda session: release_container(session, lease, claim.container_id))
            if isinstance(reason, StoppedEarly):
                self._system.waker.wake(QueueName.PREPARE)  # Another worker may begin at once.
            self._system.waker.wake(QueueName.SCREEN)
            return False
        self._system.waker.wake(QueueName.PREPARE, QueueName.SCREEN)
        committed(database, lambda session: complete_runs(session, clock()))
        with database.read() as session:
            wanted = container_is_wanted(session, claim.sha256)
        if not wanted:
            self._system.storage.delete(container_key(claim.sha256))
        return True

    def _reject(self, lease: Lease, claim: ContainerClaim, code: str, reason: str) -> None:
        committed(
            self._system.database,
            lambda session: record_container_rejected(
                session, lease, self._system.clock(), claim.container_id, code, reason
            ),
        )

    def _admit_members(self, claim: ContainerClaim, should_stop: Callable[[], bool]) -> None:
        with tempfile.TemporaryDirectory(prefix="container-") as folder:
            path = Path(folder) / "container"
            with self._system.storage.open(container_key(claim.sha256)) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target)
            for number, member in enumerate(unpack(path, self._limits)):
                if should_stop():
                    raise StoppedEarly("the worker is stopping")
                self._admit(claim, member)
                if number % 16 == 0:
                    self._check_run(claim.run_id)
                    self._system.capacity.check_space(0)
                    self._system.waker.wake(QueueName.PREPARE)

    def _admit(self, claim: ContainerClaim, member: Member) -> None:
        name = f"{claim.file_name}/{member.name}"
        if member.problem is not None or member.data is None:
            problem = member.problem or Unscreenable("damaged", "This file in the archive cannot be read.")
            admit_arrivals(self._system, claim.run_id, [Arrival(name, None, 0, refusal=problem)], claim.container_id)
            return
        with self._system.storage.receive() as incoming:
            incoming.write(member.data)
            take_in(self._system, claim.run_id, name, incoming, claim.container_id)

    def _check_run(self, run_id: int) -> None:
        with self._system.database.read() as session:
            if session.get_one(Run, run_id).state == RunState.CANCELLED:
                raise Unscreenable("damaged", "The run was cancelled while this archive was being unpacked.")
