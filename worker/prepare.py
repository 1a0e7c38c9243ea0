"""Preparing: originals decoded in limited children, renditions and display images stored, outcomes recorded."""

import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.database.transactions import TRIES_TO_RECORD, committed
from screening.ledger.lease import Lease
from screening.ledger.preparing import (
    PreparedScan,
    RenditionClaim,
    claim_renditions,
    put_back,
    record_ready,
    record_rejected,
    release_renditions,
    renew_renditions,
)
from screening.ledger.sweeping import complete_runs
from screening.queue import QueueName
from screening.radiographs.decoder import Decoder
from screening.radiographs.limited import ChildFailed
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition_spec import RenditionSpec
from screening.storage import ObjectMissing, StorageError, display_key, original_key, rendition_key
from screening.system import System
from worker.keeping import kept_lease
from worker.stages import StageTimes

log = structlog.get_logger()

CLAIMED_PER_CHILD = 8
"""At most so many files at once for each child, where they are quickly prepared."""
GROUP_TAKES_S = 0.5
"""What is claimed together should take about so long: an urgent scan waits for the group that came before it."""
TRIES_OF_ONE_FILE = 2


@dataclass(frozen=True)
class Rejection:
    code: str
    reason: str
    final: bool = True
    """False where the machine, and not the file, may be to blame."""


class Preparer:
    """One prepare worker's memory: its decoding children and the threads that feed them."""

    def __init__(self, system: System, limits: DecodeLimits, children: int) -> None:
        self._system = system
        self._children = children
        self._specs: dict[str, RenditionSpec] = {}
        self._stack = ExitStack()
        self._decoders: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        for _ in range(children):
            self._decoders.put(self._stack.enter_context(Decoder(limits)))
        self._threads = self._stack.enter_context(ThreadPoolExecutor(children, thread_name_prefix="decode"))
        self._stages = StageTimes()
        self._together = children
        self.prepared = 0
        self.rejected = 0

    def details(self) -> dict[str, object]:
        """What this worker has done, for its heartbeat."""
        return {
            "children": self._children,
            "prepared": self.prepared,
            "rejected": self.rejected,
            "stages": self._stages.as_details(),
        }

    def warm_up(self) -> None:
        """Start the children: they take a second of the first scan otherwise, and more while files are arriving."""
        try:
            for _ in range(self._children):
                decoder = self._decoders.get()
                self._decoders.put(decoder)
                decoder.warm_up()
        except ChildFailed as error:
            log.error("decoding children do not start, the first scan will try again", error=str(error))

    def prepare_slice(self, should_stop: Callable[[], bool]) -> bool:
        """Prepare until nothing waits, the slice is over, or a stop is asked for. Returns whether work may be left."""
        end = time.monotonic() + self._system.settings.slice_s
        while not should_stop() and time.monotonic() < end:
            if not self._prepare_some():
                return False
        return True

    def close(self) -> None:
        self._stack.close()

    def _prepare_some(self) -> bool:
        settings = self._system.settings

        def claim(session: Session) -> tuple[Lease, list[RenditionClaim]]:
            now = self._system.clock()
            lease = Lease.new(now, settings.lease_s)
            return lease, claim_renditions(session, lease, now, self._together)

        started = time.perf_counter()
        lease, claims = committed(self._system.database, claim)
        if not claims:
            return False
        self._stages.add("claim", time.perf_counter() - started, len(claims))
        if len(claims) == self._together:
            self._system.waker.wake(QueueName.PREPARE)

        def renew() -> None:
            until = self._system.clock() + timedelta(seconds=settings.lease_s)
            committed(self._system.database, lambda session: renew_renditions(session, lease, until))

        try:
            with kept_lease(renew, settings.lease_s / 3):
                outcomes = list(self._threads.map(self._prepare_one, claims))
        except (StorageError, SQLAlchemyError, ChildFailed) as error:
            log.error("scans not prepared, they will be tried again", error=str(error))
            committed(self._system.database, lambda session: release_renditions(session, lease))
            return False
        with self._stages.timing("record", len(claims)):
            self._record(lease, claims, outcomes)
        self._together = group_size(self._children, len(claims), time.perf_counter() - started)
        return True

    def _prepare_one(self, claim: RenditionClaim) -> PreparedScan | Rejection:
        storage = self._system.storage
        try:
            with self._stages.timing("read", 1):
                data = storage.get(original_key(claim.sha256))
        except ObjectMissing:
            return Rejection("original_missing", "The original is not in storage any more. Send the file again.")
        decoder = self._decoders.get()
        try:
            prepared = decoder.prepare(data, self._spec(claim.spec))
        except Unscreenable as problem:
            retry = problem.worth_a_retry and claim.attempts < TRIES_OF_ONE_FILE
            return Rejection(problem.code, str(problem), final=not retry)
        finally:
            self._decoders.put(decoder)
        for stage, seconds in prepared.seconds.items():
            self._stages.add(stage, seconds, 1)
        with self._stages.timing("store", 1):
            storage.put(rendition_key(claim.scan_id, claim.spec), prepared.rendition_png)
            storage.put(display_key(claim.scan_id), prepared.display_jpeg)
        facts = prepared.facts
        kept = {
            "media_type": facts.media_type,
            "rows": facts.rows,
            "columns": facts.columns,
            "bits": facts.bits,
            "polarity_inverted": facts.polarity_inverted,
            "remarks": list(facts.remarks),
            "display_size": list(prepared.display_size),
        }
        return PreparedScan(
            scan_id=claim.scan_id,
            spec=claim.spec,
            width=prepared.rendition_size[0],
            height=prepared.rendition_size[1],
            study=self._system.pseudonym(facts.study_uid) if facts.study_uid else None,
            modality=facts.modality or None,
            body_part=facts.body_part or None,
            view=facts.view or None,
            laterality=facts.laterality or None,
            facts=kept,
        )

    def _record(self, lease: Lease, claims: list[RenditionClaim], outcomes: list[PreparedScan | Rejection]) -> None:
        def record(session: Session) -> None:
            now = self._system.clock()
            record_ready(session, lease, now, [item for item in outcomes if isinstance(item, PreparedScan)])
            for claim, outcome in zip(claims, outcomes, strict=True):
                if not isinstance(outcome, Rejection):
                    continue
                if not outcome.final:
                    put_back(session, lease, claim.scan_id, claim.spec)
                else:
                    record_rejected(session, lease, now, claim.scan_id, claim.spec, outcome.code, outcome.reason)

        committed(self._system.database, record, TRIES_TO_RECORD)
        self._system.waker.wake(QueueName.SCREEN)
        rejections = sum(isinstance(item, Rejection) and item.final for item in outcomes)
        self.rejected += rejections
        self.prepared += len(outcomes) - rejections
        if rejections:
            committed(self._system.database, lambda session: complete_runs(session, self._system.clock()))

    def _spec(self, spec: str) -> RenditionSpec:
        if spec not in self._specs:
            with self._system.database.read() as session:
                self._specs[spec] = checkpoints.rendition_spec(session, spec)
        return self._specs[spec]


def group_size(children: int, files: int, seconds: float) -> int:
    """How many files to claim together after a group that took so long: one for each child where files are slow, such
    as DICOM pictures of many megapixels in JPEG 2000."""
    return max(children, min(children * CLAIMED_PER_CHILD, round(files * GROUP_TAKES_S / max(seconds, 1e-6))))
