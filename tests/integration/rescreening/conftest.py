"""An archive of scans that one checkpoint has screened, and another checkpoint to screen them again with."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.schedule_tables import Firing
from screening.database.tables import Job, Prediction, Run
from screening.ledger.claiming import claim_batch
from screening.ledger.lease import Lease
from screening.ledger.recording import Outcome, record_batch
from screening.ledger.sweeping import complete_runs
from screening.rescreening.candidates import nominate
from screening.rescreening.firing import tick
from screening.rescreening.schedules import Plan, add_schedule
from tests.installation import Installation
from tests.integration.ledger.steps import add_checkpoint, add_run, prepare_all

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Night:
    """A database and a clock that the test turns."""

    database: Database
    now: datetime = MONDAY
    schedules: list[int] = field(default_factory=list)

    def add(self, **changes: object) -> int:
        plan = {"name": "nightly", "cron": "0 22 * * *", "time_zone": "UTC", "window_end": "06:00", **changes}
        with self.database.write() as session:
            return add_schedule(session, self.now, Plan(**plan), "anna").id  # type: ignore[arg-type]

    def at(self, days: int, hour: int, minute: int = 0) -> bool:
        """Turn the clock to a time so many days after Monday, and let beat tick once."""
        self.now = MONDAY.replace(hour=hour, minute=minute) + timedelta(days=days)
        return self.tick()

    def tick(self) -> bool:
        return tick(self.database, self.now)

    def firings(self) -> list[Firing]:
        with self.database.read() as session:
            return list(session.scalars(select(Firing).order_by(Firing.id)))

    def notes(self) -> list[str | None]:
        return [firing.note for firing in self.firings()]

    def runs(self) -> list[tuple[str, str, int]]:
        """(checkpoint, state, jobs) of every run that a schedule opened."""
        with self.database.read() as session:
            rows = session.execute(
                select(Run.checkpoint_id, Run.state, func.count(Job.id))
                .join(Job, Job.run_id == Run.id)
                .where(Run.created_by.startswith("schedule"))
                .group_by(Run.id)
                .order_by(Run.id)
            )
            return [tuple(row) for row in rows]  # type: ignore[misc]

    def run(self) -> int:
        """The run of the latest firing."""
        run = self.firings()[-1].run_id
        assert run is not None
        return run

    def screen(self, batches: int = 1000, size: int = 4) -> int:
        """Do a screen worker's part: how many scans were screened."""
        done = 0
        for _ in range(batches):
            with self.database.write() as session:
                batch = claim_batch(session, Lease.new(self.now, 30), self.now, size)
            if batch is None:
                break
            outcomes = [Outcome(scan, 0.6, b"map") for scan in batch.scan_ids]
            with self.database.write() as session:
                done += record_batch(session, batch.lease, self.now, batch.checkpoint_id, outcomes, "test", "test")
                complete_runs(session, self.now)
        return done

    def predictions(self, checkpoint: str) -> int:
        with self.database.read() as session:
            return _count(session, checkpoint)


def _count(session: Session, checkpoint: str) -> int:
    return session.scalar(select(func.count()).where(Prediction.checkpoint_id == checkpoint)) or 0


@pytest.fixture
def night(database: Database) -> Iterator[Night]:
    """Ten scans that the active checkpoint `one` has screened; the candidate `two` sees the same renditions."""
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
        add_checkpoint(session, "two", active=False)
        add_checkpoint(session, "other", active=False, spec="other-spec")
        nominate(session, MONDAY, "two", "anna")
    add_run(database, 10)
    prepare_all(database)
    made = Night(database)
    assert made.screen() == 10
    yield made


@pytest.fixture
def made(installed: Installation) -> Installation:
    """An installation whose archives are visited; a test file may make it of other settings."""
    return installed
