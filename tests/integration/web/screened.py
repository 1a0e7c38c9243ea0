"""Doing a worker's part in tests of the portal: recording renditions and predictions by the ledger's own functions."""

import struct
from datetime import datetime

from sqlalchemy import select

from screening.database.states import JobState, Lane
from screening.database.tables import Job
from screening.ledger.claiming import claim_batch
from screening.ledger.lease import Lease
from screening.ledger.preparing import PreparedScan, claim_renditions, record_ready
from screening.ledger.recording import Outcome, record_batch
from screening.ledger.sweeping import complete_runs
from screening.storage import display_key, original_key, rendition_key
from screening.system import System
from tests.installation import phantom_png
from tests.integration.web.conftest import Portal


def packed_map(level: int = 200) -> bytes:
    """A stored class activation map of 2 x 2 cells for a picture that fills a square of 64 pixels."""
    return struct.pack("<B6H2f", 1, 2, 2, 0, 0, 64, 64, -2.0, 6.0) + bytes((level, 20, 20, 20))


def screen_everything(system: System, probabilities: dict[str, float]) -> None:
    """Prepare and screen every waiting scan; probabilities by file name, 0.5 for the others."""
    now = system.clock()
    with system.database.write() as session:
        lease = Lease.new(now, 60)
        claims = claim_renditions(session, lease, now, 1000)
        record_ready(
            session,
            lease,
            now,
            [PreparedScan(c.scan_id, c.spec, 60, 64, None, None, "hand", "frontal", "left", {}) for c in claims],
        )
    for claim in claims:
        data = system.storage.get(original_key(claim.sha256))
        system.storage.put(rendition_key(claim.scan_id, claim.spec), data)
        system.storage.put(display_key(claim.scan_id), data)
    # Urgent scans are a batch of their own.
    while _screen_batch(system, now, probabilities) == Lane.URGENT:
        pass


def _screen_batch(system: System, now: datetime, probabilities: dict[str, float]) -> int | None:
    """The lane of what was screened, None where nothing waited."""
    with system.database.write() as session:
        lease = Lease.new(now, 60)
        batch = claim_batch(session, lease, now, 1000)
        if batch is None:
            return None
        names = dict(session.execute(select(Job.scan_id, Job.file_name).where(Job.state == JobState.SCREENING)).all())
        record_batch(
            session,
            lease,
            now,
            batch.checkpoint_id,
            [Outcome(scan, probabilities.get(names[scan], 0.5), packed_map()) for scan in batch.scan_ids],
            "test",
            "test",
        )
        complete_runs(session, now)
        return batch.lane


def screened_run(portal: Portal, probabilities: dict[str, float]) -> int:
    api = portal.api()
    run = api.open_run()
    api.receipts(run, *((name, phantom_png(seed)) for seed, name in enumerate(probabilities)))
    api.post(f"/api/v1/runs/{run}/submit")
    screen_everything(portal.system, probabilities)
    return run
