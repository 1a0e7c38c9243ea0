"""What a candidate says of scans stays out of the worklist, its counts and its export until it is activated."""

import pytest
from sqlalchemy import delete, update

from screening import audit, checkpoints
from screening.database.engine import Database
from screening.database.tables import Job, Prediction, Run
from screening.runs.progress import progress_of
from screening.worklist import Filters, band_counts, whole_worklist, worklist_page
from tests.integration.comparison.pairs import add_predictions, two_checkpoints
from tests.integration.ledger.steps import NOW, scan_id

BEFORE = {1: 0.9, 2: 0.6, 3: 0.1}
AFTER = {1: 0.1, 2: 0.95, 3: 0.45, 4: 0.99}
"""Scan 4 was screened by the candidate alone."""


def listed(database: Database) -> dict[str, tuple[float | None, str, int]]:
    with database.read() as session:
        return {item.scan: (item.probability, item.band, item.run) for item in whole_worklist(session)}


@pytest.fixture
def shadowed(database: Database) -> tuple[Database, int, int]:
    """(database, run of the active checkpoint, run of the candidate)."""
    two_checkpoints(database)
    first = add_predictions(database, "one", BEFORE)
    return database, first, add_predictions(database, "two", AFTER)


def test_the_worklist_shows_the_active_checkpoint_until_another_is_activated(
    shadowed: tuple[Database, int, int],
) -> None:
    database, first, second = shadowed
    assert listed(database) == {
        scan_id(1): (0.9, "likely", first),
        scan_id(2): (0.6, "possible", first),
        scan_id(3): (0.1, "not_flagged", first),
    }
    with database.read() as session:
        counts = band_counts(session)
    assert (counts.must_look, counts.likely, counts.possible, counts.not_flagged) == (0, 1, 1, 1)

    with database.write() as session:
        checkpoints.activate(session, NOW, "two", "admin", "more fractures found")
    assert listed(database) == {
        scan_id(1): (0.1, "not_flagged", second),
        scan_id(2): (0.95, "likely", second),
        scan_id(3): (0.45, "possible", second),
        scan_id(4): (0.99, "likely", second),
    }
    with database.write() as session:
        checkpoints.activate(session, NOW, "one", "admin", "back")
    assert listed(database)[scan_id(1)] == (0.9, "likely", first)


def test_a_run_page_is_of_the_checkpoint_of_the_run(shadowed: tuple[Database, int, int]) -> None:
    database, first, second = shadowed
    for activated in ("one", "two"):
        with database.write() as session:
            checkpoints.activate(session, NOW, activated, "admin")
        with database.read() as session:
            earlier = worklist_page(session, Filters(run=first))
            later = worklist_page(session, Filters(run=second))
            progress = progress_of(session, NOW, session.get_one(Run, second))
        assert [item.probability for item in earlier.items] == [0.9, 0.6, 0.1]
        assert [item.probability for item in later.items] == [0.99, 0.95, 0.45, 0.1]
        assert (progress.likely, progress.possible) == (2, 1)


@pytest.mark.parametrize("state", ["queued", "screened", "failed", "rejected"])
def test_a_candidates_job_neither_hides_what_must_be_looked_at_nor_adds_to_it(
    shadowed: tuple[Database, int, int], state: str
) -> None:
    """A scan that the active checkpoint could not screen stays must look; one it screened keeps its own job."""
    database, first, second = shadowed
    rejected = add_predictions(database, "one", {5: 0.5})
    with database.write() as session:
        session.execute(
            update(Job).where(Job.run_id == rejected).values(state="rejected", problem="Cut off.", problem_code="cut")
        )
        session.execute(delete(Prediction).where(Prediction.scan_id == scan_id(5)))
    again = add_predictions(database, "two", {5: 0.7, 6: 0.7})
    with database.write() as session:
        session.execute(update(Job).where(Job.run_id == again).values(state=state, problem="Of the candidate."))
        session.execute(update(Job).where(Job.run_id == second).values(state=state, problem="Of the candidate."))
    with database.read() as session:
        items = {item.scan: item for item in whole_worklist(session)}
        counts = band_counts(session)
    assert (items[scan_id(5)].band, items[scan_id(5)].run, items[scan_id(5)].reason) == (
        "must_look",
        rejected,
        "Cut off.",
    )
    assert {items[scan_id(n)].run for n in BEFORE} == {first}
    assert {items[scan_id(n)].reason for n in BEFORE} == {None}
    assert counts.total == len(items)


def test_activation_is_audited_with_its_reason(shadowed: tuple[Database, int, int]) -> None:
    database, _, _ = shadowed
    with database.write() as session:
        checkpoints.activate(session, NOW, "two", "admin", "more fractures found")
    with database.read() as session:
        [event] = [event for event in audit.recent(session) if event.action == "checkpoint.activated"]
    assert (event.actor, event.subject) == ("admin", "two")
    assert event.detail == {"former": "one", "reason": "more fractures found"}
