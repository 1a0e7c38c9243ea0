"""A database with two checkpoints and scans that both, one or none of them have screened."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.review_tables import Review
from screening.database.tables import Job, OperatingPointChange, Prediction, Scan
from screening.runs.lifecycle import open_run
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_hash, scan_id

BEFORE = {n: n / 20 for n in range(20)}
AFTER = {n: (19 - n) / 20 for n in range(20)} | {30: 0.9}


def set_thresholds(session: Session, checkpoint: str, threshold: float, likely: float) -> None:
    session.add(
        OperatingPointChange(
            checkpoint_id=checkpoint, name="custom", threshold=threshold, likely_threshold=likely,
            reason="test", set_by="test", set_at=NOW,
        )
    )  # fmt: skip


def add_predictions(
    database: Database,
    checkpoint: str,
    probabilities: dict[int, float],
    *,
    received_at: datetime = NOW,
    body_part: str | None = None,
    modality: str | None = None,
) -> int:
    """Screen scans by their numbers in a new run of this checkpoint: the run. A known scan keeps its facts."""
    with database.write() as session:
        run = open_run(session, NOW, f"of {checkpoint}", "archive", "test")
        run.checkpoint_id = checkpoint
        known = set(session.scalars(select(Scan.id)))
        session.add_all(
            Scan(
                id=scan_id(number), sha256=scan_hash(number), size_bytes=1, media_type="image/png",
                file_name=f"{number}.png", received_at=received_at, body_part=body_part, modality=modality,
            )
            for number in probabilities
            if scan_id(number) not in known
        )  # fmt: skip
        session.flush()
        session.add_all(
            Job(run_id=run.id, scan_id=scan_id(number), file_name=f"{number}.png", state="screened", created_at=NOW)
            for number in probabilities
        )
        session.add_all(
            Prediction(
                scan_id=scan_id(number), checkpoint_id=checkpoint, probability=probability,
                activation_map=b"m", engine="test", worker="test", created_at=NOW,
            )
            for number, probability in probabilities.items()
        )  # fmt: skip
        return run.id


def add_review(database: Database, number: int, verdict: str, reader: str = "rita", *, withdrawn: bool = False) -> None:
    with database.write() as session:
        session.add(
            Review(
                scan_id=scan_id(number), reader=reader, verdict=verdict, sampled=False, reviewed_at=NOW,
                withdrawn_at=NOW if withdrawn else None,
            )
        )  # fmt: skip


def two_checkpoints(database: Database) -> None:
    """`one` flags from 0.5 and says likely from 0.8; `two` flags from 0.4 and says likely from 0.7."""
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        add_checkpoint(session, "two", active=False)
        session.flush()
        set_thresholds(session, "two", 0.4, 0.7)
