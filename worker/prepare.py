"""Preparing: originals decoded in limited children, renditions and display images stored, outcomes recorded."""

import queue
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.database.transactions import TRIES_TO_RECORD, committed
from screening.erasure.erasing import forget_what_was_erased
from screening.ledger.lease import Lease
from screening.ledger.preparing import (
    PreparedScan,
    RenditionClaim,
    claim_renditions,
    release_renditions,
    renew_renditions,
)
from screening.ledger.reviving import ORIGINAL_MISSING_CODE, ORIGINAL_MISSING_REASON
from screening.ledger.sweeping import complete_runs
from screening.queue import QueueName
from screening.radiographs.decoder import Decoder
from screening.radiographs.limited import ChildFailed
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition_spec import RenditionSpec
from screening.storage import ObjectMissing, StorageError, display_key, original_key, rendition_key
from screening.system import System
from worker.blame import may_be_elsewhere, other_originals, storage_is_away
from worker.keeping import kept_lease
from worker.outcomes import Hindrance, Outcome, Rejection, record_outcomes
from worker.stages import StageTimes

log = structlog.get_logger()

CLAIMED_PER_CHILD = 8
"""At most so many files at once for each child, where they are quickly prepared."""
GROUP_TAKES_S = 0.5
"""What is claimed together should take about so long: an urgent scan waits for the group that came before it."""
TRIES_OF_ONE_FILE = 2


class Preparer:
    """One prepare worker's memory: its decoding children and the threads that feed them."""

    def __init__(self, system: System, limits: DecodeLimits, children: int) -> None:
        self._system = system
        self.children = children
        self._specs: dict[str, RenditionSpec] = {}
        self._stack = ExitStack()
        self._decoders: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        for _ in range(children):
            self._decoders.put(self._stack.enter_context(Decoder(limits)))
        self._threads = self._stack.enter_context(ThreadPoolExecutor(children, thread_name_prefix="decode"))
        self._stages = StageTimes()
        self._together = children
        self._held_up = False
        """Whether storage as a whole was away from the latest group; then no more workers are called."""
        self.prepared = 0
        self.rejected = 0

    def details(self) -> dict[str, object]:
        """What this worker has done, for its heartbeat."""
        return {
            "children": self.children,
            "prepared": self.prepared,
            "rejected": self.rejected,
            "stages": self._stages.as_details(),
        }

    def warm_up(self) -> None:
        """Start the children: they take a second of the first scan otherwise, and more while files are arriving."""
        try:
            for _ in range(self.children):
                decoder = self._decoders.get()
                self._decoders.put(decoder)
                decoder.warm_up()
        except ChildFailed as error:
            log.error("decoding children do not start, the first scan will try again", error=str(error))

    def prepare_slice(self, should_stop: Callable[[], bool]) -> bool:
        """Prepare until nothing waits, the slice is over, or a stop is asked for. Returns whether work may be left.

        should_stop is asked once before each group.
        """
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
        if len(claims) == self._together and not self._held_up:
            self._system.waker.wake(QueueName.PREPARE)

        def renew() -> None:
            until = self._system.clock() + timedelta(seconds=settings.lease_s)
            committed(self._system.database, lambda session: renew_renditions(session, lease, until))

        try:
            with kept_lease(renew, settings.lease_s / 3):
                outcomes = list(self._threads.map(self._prepare_one, claims))
                away = self._storage_is_away(claims, outcomes)
        except (SQLAlchemyError, ChildFailed) as error:
            log.error("scans not prepared, they will be tried again", error=str(error))
            committed(self._system.database, lambda session: release_renditions(session, lease))
            return False
        with self._stages.timing("record", len(claims)):
            self._record(lease, list(zip(claims, outcomes, strict=True)), away)
        self._together = group_size(self.children, len(claims), time.perf_counter() - started)
        # What else was hindered stays claimed, and the next group is another one.
        self._held_up = away
        return not away

    def _storage_is_away(self, claims: list[RenditionClaim], outcomes: list[Outcome]) -> bool:
        hindrances = [outcome for outcome in outcomes if isinstance(outcome, Hindrance)]
        if hindrances:
            log.error("scans not prepared", scans=len(hindrances), error=str(hindrances[0].error))
        missing = any(isinstance(outcome, Rejection) and outcome.original_is_missing for outcome in outcomes)
        if missing and may_be_elsewhere(self._system):
            return True
        errors = [hindrance.error for hindrance in hindrances if not hindrance.of_archive]
        sha256s = [claim.sha256 for claim in claims]
        return bool(errors) and storage_is_away(
            self._system,
            errors,
            lambda session: other_originals(session, sha256s),
            others_answered=len(hindrances) < len(outcomes),
        )

    def _prepare_one(self, claim: RenditionClaim) -> Outcome:
        storage = self._system.storage
        try:
            with self._stages.timing("read", 1):
                data = storage.get(original_key(claim.sha256))
        except ObjectMissing:
            return Rejection(ORIGINAL_MISSING_CODE, ORIGINAL_MISSING_REASON)
        except StorageError as error:
            return Hindrance(error, while_reading=True)
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
        try:
            with self._stages.timing("store", 1):
                storage.put(rendition_key(claim.scan_id, claim.spec), prepared.rendition_png)
                storage.put(display_key(claim.scan_id), prepared.display_jpeg)
        except StorageError as error:
            return Hindrance(error, while_reading=False)
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

    def _record(self, lease: Lease, outcomes: list[tuple[RenditionClaim, Outcome]], storage_away: bool) -> None:
        system = self._system

        def record(session: Session) -> int:
            return record_outcomes(
                session,
                lease,
                system.clock(),
                outcomes,
                storage_away=storage_away,
                max_attempts=system.settings.max_attempts,
            )

        rejected = committed(system.database, record, TRIES_TO_RECORD)
        made = [(claim.scan_id, claim.spec) for claim, outcome in outcomes if isinstance(outcome, PreparedScan)]
        try:
            forget_what_was_erased(system.database, system.storage, made)
        except StorageError as error:
            log.warning("pictures of erased scans stay until the next clean-up", error=str(error))
        system.waker.wake(QueueName.SCREEN)
        self.rejected += rejected
        self.prepared += sum(isinstance(outcome, PreparedScan) for _, outcome in outcomes)
        if rejected:
            committed(system.database, lambda session: complete_runs(session, system.clock()))

    def _spec(self, spec: str) -> RenditionSpec:
        if spec not in self._specs:
            with self._system.database.read() as session:
                self._specs[spec] = checkpoints.rendition_spec(session, spec)
        return self._specs[spec]


def group_size(children: int, files: int, seconds: float) -> int:
    """How many files to claim together after a group that took so long: one for each child where files are slow, such
    as DICOM pictures of many megapixels in JPEG 2000."""
    return max(children, min(children * CLAIMED_PER_CHILD, round(files * GROUP_TAKES_S / max(seconds, 1e-6))))
