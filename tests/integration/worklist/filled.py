"""Scans that a run holds already: screened, or rejected."""

from sqlalchemy import update
from sqlalchemy.orm import Session

from screening.database.tables import Job, Prediction, Run
from screening.runs.admission import StoredFile, admit_scan
from tests.integration.ledger.steps import NOW, scan_hash, scan_id


def add_screened(session: Session, run: int, number: int, probability: float) -> None:
    admit_scan(session, NOW, session.get_one(Run, run), StoredFile(f"{number}.png", scan_hash(number), 1, "image/png"))
    scan = scan_id(number)
    session.add(
        Prediction(
            scan_id=scan,
            checkpoint_id="one",
            probability=probability,
            activation_map=b"m",
            engine="test",
            worker="test",
            created_at=NOW,
        )
    )
    session.execute(update(Job).where(Job.scan_id == scan).values(state="screened"))


def add_rejected(session: Session, run: int, number: int) -> None:
    admit_scan(session, NOW, session.get_one(Run, run), StoredFile(f"{number}.png", scan_hash(number), 1, "image/png"))
    session.execute(
        update(Job)
        .where(Job.scan_id == scan_id(number))
        .values(state="rejected", problem_code="truncated", problem="Cut off at 41%.")
    )
