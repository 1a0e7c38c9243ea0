"""Screening: batches claimed from the ledger, renditions loaded ahead of the engine, outcomes recorded at once."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.inference.bundle import BundleError
from screening.inference.engine import EngineError, NotFiniteError, Predictions
from screening.inference.maps import pack_map
from screening.ledger.lease import Lease
from screening.ledger.preparing import waiting_renditions
from screening.ledger.remaking import remake_rendition
from screening.ledger.screening import (
    BatchClaim,
    Outcome,
    claim_batch,
    fail_scan,
    queued_up_to,
    record_batch,
    release_jobs,
    renew,
)
from screening.ledger.sweeping import complete_runs
from screening.queue import QueueName
from screening.radiographs.rendition import content_box, fit_input
from screening.radiographs.rendition_file import load_rendition
from screening.storage import ObjectMissing, StorageError, rendition_key
from screening.system import System
from worker.engines import Engines, LoadedEngine
from worker.transactions import committed

log = structlog.get_logger()

LOADING_THREADS = 4
REFUSED_FOR_S = 60.0
_NO_ANSWER = "The network gave no number for this picture. A person must look at it; please report it."


@dataclass
class LoadedBatch:
    """A claimed batch whose renditions are in memory."""

    claim: BatchClaim
    loaded: LoadedEngine
    scan_ids: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    pictures: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Refusal:
    """A checkpoint that this worker could not serve; it is tried again after a while."""

    reason: str
    at: float

    @property
    def holds(self) -> bool:
        return time.monotonic() - self.at < REFUSED_FOR_S


@dataclass
class ScreenStatistics:
    """What the system page and the metrics show of a screen worker."""

    batches: int = 0
    scans: int = 0
    busy_s: float = 0.0
    last_fill: float = 0.0

    def as_details(self) -> dict[str, object]:
        rate = self.scans / self.busy_s if self.busy_s else 0.0
        return {
            "batches": self.batches,
            "scans": self.scans,
            "images_per_s": round(rate, 1),
            "batch_fill": round(self.last_fill, 2),
        }


class Screener:
    """One screen worker's memory: its engines, its loading threads, its statistics."""

    def __init__(self, system: System, name: str, engine_threads: int) -> None:
        self._system = system
        self._settings = system.settings
        self._name = name
        self._engines = Engines(system, engine_threads)
        self._refused: dict[str, Refusal] = {}
        self._loading = ThreadPoolExecutor(LOADING_THREADS, thread_name_prefix="load")
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="claim")
        self.statistics = ScreenStatistics()

    def details(self) -> dict[str, object]:
        """What this worker is running on, for its heartbeat."""
        refused = {key: refusal.reason for key, refusal in self._refused.items() if refusal.holds}
        return {**self._engines.details(), **self.statistics.as_details(), "refused": refused}

    def warm_up(self) -> None:
        """Load and check the active checkpoint before the first job asks for it."""
        with self._system.database.read() as session:
            active = checkpoints.active(session).id
        try:
            self._engines.get(active)
        except (BundleError, EngineError) as error:
            log.error("checkpoint refused", checkpoint=active, error=str(error))
            self._refused[active] = Refusal(str(error), time.monotonic())

    def screen_slice(self, should_stop: Callable[[], bool]) -> bool:
        """Screen until nothing is left, the slice is over, or a stop is asked for. Returns whether work may be left."""
        end = time.monotonic() + self._settings.slice_s
        batch = self._load_next(should_stop)
        if batch is None:
            return False
        if len(batch.claim.scan_ids) >= self._settings.batch_size:
            # More than one batch is waiting: wake another worker, which wakes the next.
            self._system.waker.wake(QueueName.SCREEN)
        handed_back = False
        while batch is not None:
            last = should_stop() or time.monotonic() >= end
            following = None if last else self._ahead.submit(self._load_next, should_stop)
            try:
                handed_back |= not self._screen(batch)
            finally:
                batch = following.result() if following else None
            if last:
                return True
        return handed_back

    def close(self) -> None:
        self._ahead.shutdown()
        self._loading.shutdown()

    def _load_next(self, should_stop: Callable[[], bool]) -> LoadedBatch | None:
        claim = self._claim()
        if claim is None:
            return None
        try:
            if not claim.scan_ids:
                self._close_runs()
                return self._load_next(should_stop)
            return self._load(claim, self._engines.get(claim.checkpoint_id))
        except (BundleError, EngineError) as error:
            log.error("checkpoint refused", checkpoint=claim.checkpoint_id, error=str(error))
            self._refused[claim.checkpoint_id] = Refusal(str(error), time.monotonic())
            self._release(claim, tried=False)
            return None
        except StorageError as error:
            # Nobody's fault here: the sweeper wakes the workers again when storage answers.
            log.error("storage does not answer", error=str(error))
            self._release(claim, tried=False)
            return None
        except BaseException:
            self._release(claim, tried=False)
            raise

    def _claim(self) -> BatchClaim | None:
        refused = {key for key, refusal in self._refused.items() if refusal.holds}

        def claim(session: Session) -> BatchClaim | None:
            now = self._system.clock()
            lease = Lease.new(now, self._settings.lease_s)
            return claim_batch(session, lease, now, self._settings.batch_size, refused)

        self._linger()
        return committed(self._system.database, claim)

    def _linger(self) -> None:
        """Wait a moment for a fuller batch, where more scans are being prepared."""
        if self._settings.linger_ms == 0:
            return
        with self._system.database.read() as session:
            size = self._settings.batch_size
            short = 0 < queued_up_to(session, size) < size and waiting_renditions(session)
        if short:
            time.sleep(self._settings.linger_ms / 1000)

    def _load(self, claim: BatchClaim, loaded: LoadedEngine) -> LoadedBatch:
        batch = LoadedBatch(claim, loaded)
        spec = loaded.bundle.rendition
        fetch = partial(self._fetch, spec.hash)
        squares = []
        for scan_id, picture in zip(claim.scan_ids, self._loading.map(fetch, claim.scan_ids), strict=True):
            if picture is None or max(picture.shape) != spec.side:
                self._send_back(claim.lease, scan_id, spec.hash)
                continue
            batch.scan_ids.append(scan_id)
            batch.sizes.append((picture.shape[0], picture.shape[1]))
            squares.append(fit_input(picture, spec.side))
        batch.pictures = np.stack(squares) if squares else None
        return batch

    def _fetch(self, spec: str, scan_id: str) -> NDArray[np.uint8] | None:
        """The rendition, or None where it is gone or unreadable and must be made again."""
        try:
            return load_rendition(self._system.storage.get(rendition_key(scan_id, spec)))
        except (ObjectMissing, ValueError):
            return None

    def _send_back(self, lease: Lease, scan_id: str, spec: str) -> None:
        log.warning("rendition is missing, it will be made again", scan=scan_id)
        committed(
            self._system.database,
            lambda session: remake_rendition(
                session, lease, self._system.clock(), scan_id, spec, self._settings.max_attempts
            ),
        )
        self._system.waker.wake(QueueName.PREPARE)

    def _screen(self, batch: LoadedBatch) -> bool:
        """Screen one batch and record it; False where it was handed back to be tried in smaller ones."""
        if batch.pictures is None:
            return True
        started = time.monotonic()
        claim, loaded = batch.claim, batch.loaded
        if (claim.lease.until - self._system.clock()).total_seconds() < self._settings.lease_s / 2:
            until = self._system.clock() + timedelta(seconds=self._settings.lease_s)
            committed(self._system.database, lambda session: renew(session, claim.lease, until))
        try:
            predictions = self._predict(batch)
        except Exception:
            # Attempts were counted by the claim: the batch comes back smaller, until the culprit is alone.
            log.exception("batch failed", size=len(batch.scan_ids))
            self._release(claim, tried=True)
            return False
        if predictions is None:
            self._close_runs()
            return True
        side = loaded.bundle.rendition.side
        outcomes = [
            Outcome(scan_id, float(probability), pack_map(activation, content_box(height, width, side)))
            for scan_id, probability, activation, (height, width) in zip(
                batch.scan_ids, predictions.probabilities, predictions.maps, batch.sizes, strict=True
            )
        ]

        def record(session: Session) -> int:
            return record_batch(
                session,
                claim.lease,
                self._system.clock(),
                claim.checkpoint_id,
                outcomes,
                engine=f"{loaded.engine.name} {loaded.form}",
                worker=self._name,
            )

        recorded = committed(self._system.database, record)
        self._close_runs()
        self.statistics.batches += 1
        self.statistics.scans += recorded
        self.statistics.busy_s += time.monotonic() - started
        self.statistics.last_fill = len(outcomes) / self._settings.batch_size
        return True

    def _predict(self, batch: LoadedBatch) -> Predictions | None:
        """Answers for what is left of the batch after scans without an answer were ended; None for nothing left."""
        while batch.pictures is not None and len(batch.pictures):
            try:
                return batch.loaded.engine.predict(batch.pictures)
            except NotFiniteError as error:
                self._fail_rows(batch, error.rows)
        return None

    def _fail_rows(self, batch: LoadedBatch, rows: Sequence[int]) -> None:
        def fail(session: Session) -> None:
            for row in rows:
                fail_scan(
                    session, batch.claim.lease, self._system.clock(), batch.scan_ids[row], "no_answer", _NO_ANSWER
                )

        committed(self._system.database, fail)
        kept = [row for row in range(len(batch.scan_ids)) if row not in set(rows)]
        batch.scan_ids = [batch.scan_ids[row] for row in kept]
        batch.sizes = [batch.sizes[row] for row in kept]
        batch.pictures = batch.pictures[kept] if batch.pictures is not None and kept else None

    def _close_runs(self) -> None:
        # In a transaction of its own: of two workers that record the last two batches, the later one sees both.
        committed(self._system.database, lambda session: complete_runs(session, self._system.clock()))

    def _release(self, claim: BatchClaim, *, tried: bool) -> None:
        try:
            committed(
                self._system.database,
                lambda session: release_jobs(
                    session,
                    claim.lease,
                    tried=tried,
                    max_attempts=self._settings.max_attempts,
                    now=self._system.clock(),
                ),
            )
        except SQLAlchemyError as error:
            log.warning("batch not released, its lease will expire", error=str(error))
