"""Screening: batches claimed and loaded ahead of the engine, and recorded while it is at work on the next one."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.database.states import Lane
from screening.database.transactions import TRIES_TO_RECORD, committed
from screening.inference.engine import Engine, EngineError, NotFiniteError, OutOfDeviceMemory, Predictions
from screening.inference.maps import pack_map
from screening.ledger.recording import Outcome, fail_scan, record_batch
from screening.ledger.releasing import renew
from screening.queue import QueueName
from screening.radiographs.rendition import content_box
from screening.system import System
from worker.batches import BatchLoader, LoadedBatch, close_runs
from worker.engines import Engines, check_still_works
from worker.stages import StageTimes

log = structlog.get_logger()

CLOSES_RUNS_EVERY_S = 1.0
"""While batch follows batch; after urgent scans, and with the last batch, what is finished is closed at once."""
_NO_ANSWER = "The network gave no number for this picture. A person must look at it; please report it."


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
        self._stages = StageTimes()
        self._batches = BatchLoader(system, self._engines, self._stages)
        self._ahead = ThreadPoolExecutor(1, thread_name_prefix="claim")
        self._recorder = ThreadPoolExecutor(1, thread_name_prefix="record")
        self._recording: Future[None] | None = None
        self._runs_closed_at = -CLOSES_RUNS_EVERY_S
        self.statistics = ScreenStatistics()
        self.needs_new_process = False
        """Whether an engine broke in a way that only a new process mends."""

    def details(self) -> dict[str, object]:
        """What this worker is running on, for its heartbeat."""
        refused = self._batches.refused
        return {
            **self._engines.details(),
            **self.statistics.as_details(),
            "batch_size": self._batches.size,
            "stages": self._stages.as_details(),
            **({"refused": refused} if refused else {}),
        }

    def warm_up(self) -> None:
        """Load and check the active checkpoint before the first job asks for it."""
        with self._system.database.read() as session:
            active = checkpoints.active(session).id
        self._batches.warm_up(active)

    def screen_slice(self, should_stop: Callable[[], bool]) -> bool:
        """Screen until nothing is left, the slice is over, or a stop is asked for. Returns whether work may be left."""
        end = time.monotonic() + self._settings.slice_s
        batch = self._batches.next()
        if batch is None:
            return False
        if len(batch.claim.scan_ids) >= self._batches.size:
            # More than one batch is waiting: wake another worker, which wakes the next.
            self._system.waker.wake(QueueName.SCREEN)
        handed_back = last = False
        while batch is not None:
            if urgent := self._batches.overtaking(batch):
                handed_back |= not self._screen(urgent)
            last = should_stop() or self.needs_new_process or time.monotonic() >= end
            alone = last or batch.claim.tried
            following = None if alone else self._ahead.submit(self._batches.next, untried_only=True)
            try:
                handed_back |= not self._screen(batch)
            finally:
                batch = following.result() if following else None
            if batch is None and not last:
                self._wait_until_recorded()
                batch = self._batches.next()
        self._wait_until_recorded()
        self._close_runs()
        return last or handed_back

    def close(self) -> None:
        self._ahead.shutdown()
        self._recorder.shutdown()
        self._batches.close()

    def _screen(self, batch: LoadedBatch) -> bool:
        """Screen one batch and have it recorded; False where it was handed back to be tried in smaller ones."""
        if batch.pictures is None:
            return True
        started = time.monotonic()
        claim = batch.claim
        if claim.tried:
            # Should it end this worker again, nothing else is lost, and nobody else's attempts are counted.
            self._wait_until_recorded()
        if (claim.lease.until - self._system.clock()).total_seconds() < self._settings.lease_s / 2:
            until = self._system.clock() + timedelta(seconds=self._settings.lease_s)
            committed(self._system.database, lambda session: renew(session, claim.lease, until))
        try:
            with self._stages.timing("infer", len(batch.scan_ids)):
                predictions = self._predict(batch)
        except OutOfDeviceMemory as error:
            # Not even one fits: no scan is to blame, and another worker may have room.
            self._batches.refuse(claim.checkpoint_id, error)
            self._batches.release(claim, tried=False)
            return False
        except EngineError as error:
            self._give_up_engine(batch, error)
            self._batches.release(claim, tried=False)
            return False
        except Exception:
            # Attempts were counted by the claim: the batch comes back smaller, until the culprit is alone.
            log.exception("batch failed", size=len(batch.scan_ids))
            self._batches.release(claim, tried=True)
            return False
        if predictions is None:
            return True
        # One batch at a time: what cannot be recorded must not pile up, and ends the slice with its error.
        self._wait_until_recorded()
        took = time.monotonic() - started
        self._recording = self._recorder.submit(self._record, batch, predictions, took)
        return True

    def _give_up_engine(self, batch: LoadedBatch, error: EngineError) -> None:
        """Serve this checkpoint no more until its engine was opened again, after a while or by a new process."""
        self._batches.refuse(batch.claim.checkpoint_id, error)
        self._engines.drop(batch.claim.checkpoint_id)
        # What torch has open on a GPU is lost to the whole process after some errors, and no new engine mends it.
        self.needs_new_process |= batch.loaded.engine.name == "torch"

    def _wait_until_recorded(self) -> None:
        recording, self._recording = self._recording, None
        if recording is not None:
            recording.result()

    def _record(self, batch: LoadedBatch, predictions: Predictions, took: float) -> None:
        with self._stages.timing("record", len(batch.scan_ids)):
            recorded = self._write(batch, predictions)
        self.statistics.batches += 1
        self.statistics.scans += recorded
        self.statistics.busy_s += took
        self.statistics.last_fill = len(batch.scan_ids) / self._batches.full_size

    def _write(self, batch: LoadedBatch, predictions: Predictions) -> int:
        """Write what the network said of a batch, close runs now and then, and return how many scans it ended."""
        claim, loaded = batch.claim, batch.loaded
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

        recorded = committed(self._system.database, record, TRIES_TO_RECORD)
        if claim.lane == Lane.URGENT or time.monotonic() - self._runs_closed_at >= CLOSES_RUNS_EVERY_S:
            self._close_runs()
        return recorded

    def _close_runs(self) -> None:
        self._runs_closed_at = time.monotonic()
        close_runs(self._system)

    def _predict(self, batch: LoadedBatch) -> Predictions | None:
        """Answers for what is left of the batch after scans without an answer were ended; None for nothing left.

        Raises EngineError where the engine broke, so that no scan answers for it.
        """
        while batch.pictures is not None and len(batch.pictures):
            try:
                return self._predict_in_parts(batch.loaded.engine, batch.pictures)
            except OutOfDeviceMemory:
                raise
            except NotFiniteError as error:
                check_still_works(batch.loaded)
                self._fail_rows(batch, error.rows)
            except Exception:
                check_still_works(batch.loaded)
                raise
        return None

    def _predict_in_parts(self, engine: Engine, pictures: NDArray[np.uint8]) -> Predictions:
        """One part where it fits into the device's memory, else halves, and halves of these, down to single scans."""
        parts: list[Predictions] = []
        start = 0
        while start < len(pictures):
            part = pictures[start : start + self._batches.size]
            try:
                parts.append(engine.predict(part))
            except OutOfDeviceMemory:
                if len(part) == 1:
                    raise
                self._batches.keep_to(len(part) // 2)
                continue
            except NotFiniteError as error:
                raise NotFiniteError([start + row for row in error.rows]) from None
            start += len(part)
        return Predictions(
            np.concatenate([part.probabilities for part in parts]), np.concatenate([part.maps for part in parts])
        )

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
