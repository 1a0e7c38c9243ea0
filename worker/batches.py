"""Batches: claimed from the ledger, their renditions loaded, handed back where that fails."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain

import numpy as np
import structlog
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from screening.database.states import Lane
from screening.database.transactions import committed
from screening.inference.bundle import BundleError
from screening.inference.engine import EngineError
from screening.ledger.claiming import BatchClaim, claim_batch, queued_up_to
from screening.ledger.due import waiting_renditions
from screening.ledger.lease import Lease
from screening.ledger.releasing import release_jobs
from screening.ledger.remaking import remake_rendition
from screening.ledger.sweeping import complete_runs
from screening.queue import QueueName
from screening.radiographs.rendition import fit_input
from screening.radiographs.rendition_file import load_rendition
from screening.storage import ObjectMissing, StorageError, rendition_key
from screening.system import System
from worker.blame import may_be_elsewhere, other_renditions, storage_is_away
from worker.engines import Engines, LoadedEngine
from worker.stages import StageTimes

log = structlog.get_logger()

Fetched = NDArray[np.uint8] | StorageError | None
"""A rendition; or why storage does not give it; or None where it is gone or damaged, and must be made again."""
LOADING_THREADS = 4
REFUSED_FOR_S = 60.0
SMALLER_FOR_S = 600.0
"""How long batches stay small after one did not fit into the device's memory; others may share the device."""


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


class BatchLoader:
    """Claims one batch after the other and loads what the engine needs of it."""

    def __init__(self, system: System, engines: Engines, stages: StageTimes) -> None:
        self._system = system
        self._settings = system.settings
        self._engines = engines
        self._stages = stages
        self._refused: dict[str, Refusal] = {}
        self._smaller = (0, 0.0)
        self._last_was_full = False
        self._threads = ThreadPoolExecutor(LOADING_THREADS, thread_name_prefix="load")

    @property
    def refused(self) -> dict[str, str]:
        """Checkpoints that are not served at present, and why."""
        return {key: refusal.reason for key, refusal in dict(self._refused).items() if refusal.holds}

    @property
    def full_size(self) -> int:
        """How many scans a batch has when enough are waiting and the device's memory takes them."""
        return self._engines.batch_size

    @property
    def size(self) -> int:
        """How many scans a batch may have at present."""
        size, until = self._smaller
        return size if time.monotonic() < until else self.full_size

    def keep_to(self, size: int) -> None:
        """Claim no larger batches than this for a while, and screen none."""
        log.warning("batches are smaller for a while", size=size)
        self._smaller = (size, time.monotonic() + SMALLER_FOR_S)

    def warm_up(self, checkpoint_id: str) -> None:
        """Load an engine before the first job asks for it; what cannot be served is noted as refused."""
        try:
            self._engines.get(checkpoint_id)
        except (BundleError, EngineError) as error:
            self.refuse(checkpoint_id, error)

    def next(self, *, untried_only: bool = False) -> LoadedBatch | None:
        """The next batch, or None where nothing can be screened now.

        A worker that holds another batch asks for `untried_only`: what was claimed before may end its worker, and what
        is held beside it would share its fate, and its attempts.
        """
        while True:
            claim = self._claim(untried_only)
            if claim is None:
                return None
            if claim.scan_ids:
                return self._load_or_release(claim)
            # All that was claimed had been screened by another run in the meantime.
            close_runs(self._system)

    def overtaking(self, batch: LoadedBatch) -> LoadedBatch | None:
        """What should be screened before a batch that is loaded already: urgent scans that came since.

        They may have been tried before: an untried batch can bear one attempt. One that was tried is small and goes
        first.
        """
        if batch.claim.lane == Lane.URGENT or batch.claim.tried:
            return None
        with self._system.database.read() as session:
            urgent = _urgent_scans_wait(session)
        return self.next() if urgent else None

    def close(self) -> None:
        self._threads.shutdown()

    def release(self, claim: BatchClaim, *, tried: bool) -> None:
        """Hand a batch back; where even that fails, its lease will expire."""
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

    def _load_or_release(self, claim: BatchClaim) -> LoadedBatch | None:
        try:
            loaded = self._engines.get(claim.checkpoint_id)
            with self._stages.timing("load", len(claim.scan_ids)):
                return self._load(claim, loaded)
        except (BundleError, EngineError) as error:
            self.refuse(claim.checkpoint_id, error)
            self.release(claim, tried=False)
            return None
        except StorageError as error:
            # Nobody's fault here: the sweeper wakes the workers again when storage answers.
            log.error("storage does not answer", error=str(error))
            self.release(claim, tried=False)
            return None
        except BaseException:
            self.release(claim, tried=False)
            raise

    def refuse(self, checkpoint_id: str, error: Exception) -> None:
        """Leave this checkpoint to other workers for a while."""
        log.error("checkpoint refused", checkpoint=checkpoint_id, error=str(error))
        self._refused[checkpoint_id] = Refusal(str(error), time.monotonic())

    def _claim(self, untried_only: bool) -> BatchClaim | None:
        refused = self.refused.keys()

        def claim(session: Session) -> BatchClaim | None:
            now = self._system.clock()
            lease = Lease.new(now, self._settings.lease_s)
            return claim_batch(session, lease, now, self.size, refused, untried_only=untried_only)

        if not self._last_was_full:
            self._linger()
        started = time.perf_counter()
        claimed = committed(self._system.database, claim)
        self._last_was_full = claimed is not None and claimed.job_count >= self.size
        if claimed is not None:
            self._stages.add("claim", time.perf_counter() - started, len(claimed.scan_ids))
        return claimed

    def _linger(self) -> None:
        """Wait a moment for a fuller batch, where more scans are being prepared."""
        if self._settings.linger_ms == 0:
            return
        with self._system.database.read() as session:
            size = self.size
            short = 0 < queued_up_to(session, size) < size and waiting_renditions(session)
            wait = short and not _urgent_scans_wait(session)
        if wait:
            time.sleep(self._settings.linger_ms / 1000)

    def _load(self, claim: BatchClaim, loaded: LoadedEngine) -> LoadedBatch:
        batch = LoadedBatch(claim, loaded)
        spec = loaded.bundle.rendition
        squares = []
        pictures = list(self._fetch_all(spec.hash, claim.scan_ids))
        self._check_storage(spec.hash, claim.scan_ids, pictures)
        for scan_id, picture in zip(claim.scan_ids, pictures, strict=True):
            if not isinstance(picture, np.ndarray) or max(picture.shape) != spec.side:
                self._send_back(claim.lease, scan_id, spec.hash)
                continue
            batch.scan_ids.append(scan_id)
            batch.sizes.append((picture.shape[0], picture.shape[1]))
            squares.append(fit_input(picture, spec.side))
        batch.pictures = np.stack(squares) if squares else None
        return batch

    def _check_storage(self, spec: str, scan_ids: Sequence[str], pictures: Sequence[Fetched]) -> None:
        """Raises StorageError where storage as a whole is away, and not only some of these renditions."""
        if any(picture is None for picture in pictures) and may_be_elsewhere(self._system):
            raise StorageError("renditions are missing in a storage that is not that of this installation")
        errors = [error for error in pictures if isinstance(error, StorageError)]
        if errors and storage_is_away(
            self._system,
            errors,
            lambda session: other_renditions(session, spec, scan_ids),
            others_answered=len(errors) < len(pictures),
        ):
            raise errors[0]

    def _fetch_all(self, spec: str, scan_ids: Sequence[str]) -> Iterator[Fetched]:
        """The renditions in order: each thread takes its share in one go, because every handing over costs more."""
        share = -(-len(scan_ids) // LOADING_THREADS)
        shares = [scan_ids[start : start + share] for start in range(0, len(scan_ids), share)]
        fetch = partial(self._fetch, spec)
        return chain.from_iterable(self._threads.map(lambda some: [fetch(scan_id) for scan_id in some], shares))

    def _fetch(self, spec: str, scan_id: str) -> Fetched:
        try:
            return load_rendition(self._system.storage.get(rendition_key(scan_id, spec)))
        except (ObjectMissing, ValueError):
            return None
        except StorageError as error:
            return error

    def _send_back(self, lease: Lease, scan_id: str, spec: str) -> None:
        log.warning("rendition is missing or cannot be read, it will be made again", scan=scan_id)
        committed(
            self._system.database,
            lambda session: remake_rendition(
                session, lease, self._system.clock(), scan_id, spec, self._settings.max_attempts
            ),
        )
        self._system.waker.wake(QueueName.PREPARE)


def close_runs(system: System) -> None:
    """Close what is finished, in a transaction of its own: of two workers that record last, the later sees both."""
    committed(system.database, lambda session: complete_runs(session, system.clock()))


def _urgent_scans_wait(session: Session) -> bool:
    return queued_up_to(session, 1, Lane.URGENT) > 0
