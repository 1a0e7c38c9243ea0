"""The steps that a scan takes through the ledger, one by one: runs, renditions, batches and what is recorded."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.tables import (
    Checkpoint,
    Job,
    OperatingPointChange,
)
from screening.ledger.claiming import BatchClaim, claim_batch
from screening.ledger.lease import Lease
from screening.ledger.preparing import (
    PreparedScan,
    claim_renditions,
    record_ready,
)
from screening.ledger.recording import Outcome, record_batch
from screening.runs.admission import StoredFile, admit_scan
from screening.runs.lifecycle import open_run, submit_run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
MAX_ATTEMPTS = 5


def scan_hash(number: int) -> str:
    """The hash of the scan of this number; they differ from the first digit on."""
    return f"{number:064x}"[::-1]


def scan_id(number: int) -> str:
    return scan_hash(number)[:32]


def add_checkpoint(session: Session, name: str, *, active: bool, spec: str = "spec") -> None:
    session.add(
        Checkpoint(id=name, name=name, form="fp32", active=active, rendition_spec=spec, card={}, registered_at=NOW)
    )
    session.flush()
    session.add(
        OperatingPointChange(
            checkpoint_id=name,
            name="s90",
            threshold=0.5,
            likely_threshold=0.8,
            reason="test",
            set_by="test",
            set_at=NOW,
        )
    )


def add_run(database: Database, scans: int, lane: str = "routine", first: int = 0, submit: bool = True) -> int:
    with database.write() as session:
        run = open_run(session, NOW, "run", lane, "test")
        for number in range(first, first + scans):
            admit_scan(session, NOW, run, StoredFile(f"{number}.png", scan_hash(number), 10, "image/png"))
        if submit:
            submit_run(session, NOW, run.id, "test")
        return run.id


def prepare_all(database: Database) -> None:
    with database.write() as session:
        lease = Lease.new(NOW, 30)
        claims = claim_renditions(session, lease, NOW, 10_000)
        record_ready(session, lease, NOW, [ready(claim.scan_id) for claim in claims])


def ready(scan_id: str) -> PreparedScan:
    return PreparedScan(scan_id, "spec", 64, 64, None, None, "hand", None, None, {})


def claim(database: Database, size: int = 4, now: datetime = NOW) -> BatchClaim | None:
    with database.write() as session:
        return claim_batch(session, Lease.new(now, 30), now, size)


def record(database: Database, batch: BatchClaim, now: datetime = NOW) -> int:
    """The first scan of the batch is likely, the others possible."""
    outcomes = [Outcome(scan_id, 0.7 if number else 0.9, b"map") for number, scan_id in enumerate(batch.scan_ids)]
    with database.write() as session:
        return record_batch(session, batch.lease, now, batch.checkpoint_id, outcomes, "test", "test")


def states(database: Database, run: int) -> dict[str, int]:
    with database.read() as session:
        rows = session.execute(select(Job.state, func.count()).where(Job.run_id == run).group_by(Job.state))
        return dict(rows.all())
