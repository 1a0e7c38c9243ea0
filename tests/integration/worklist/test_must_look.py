"""What must be looked at stays so until it is screened, whatever is sent again, waits, was cancelled or only tried."""

from collections.abc import Iterator
from itertools import pairwise

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.database.engine import Database
from screening.database.tables import Job, Prediction, Run
from screening.runs.admission import StoredFile, admit_scan
from screening.runs.lifecycle import cancel_run, open_run, pause_run, submit_run
from screening.worklist import Filters, WorklistItem, band_counts, neighbours, standing, whole_worklist
from screening.worklist.sections import must_look as must_look_jobs
from tests.integration.ledger.steps import NOW, add_checkpoint, scan_hash, scan_id
from tests.integration.worklist.filled import add_rejected
from tests.statements import kept_statements

SCAN, OTHER = scan_id(7), scan_id(8)


@pytest.fixture
def rejected(database: Database) -> Iterator[Database]:
    """Two scans that the checkpoint in use could not screen; two more checkpoints are known."""
    with database.write() as session:
        for name in ("one", "two", "three"):
            add_checkpoint(session, name, active=name == "one")
        run = open_run(session, NOW, "first", "routine", "test").id
        for number in (7, 8):
            add_rejected(session, run, number)
        submit_run(session, NOW, run, "test")
    yield database


def send_again(session: Session, checkpoint: str = "one", **job: str) -> int:
    """The scan in a new run of this checkpoint: the run. Its job is as given, else it waits."""
    run = open_run(session, NOW, f"again by {checkpoint}", "routine", "test")
    run.checkpoint_id = checkpoint
    session.flush()
    admit_scan(session, NOW, run, StoredFile("7 again.png", scan_hash(7), 1, "image/png"))
    if job:
        session.execute(update(Job).where(Job.run_id == run.id).values(**job))
    return run.id


def must_look(session: Session) -> dict[str, WorklistItem]:
    """By scan; every count and step agrees with the list."""
    listed = list(whole_worklist(session, Filters(band="must_look")))
    items = {item.scan: item for item in listed}
    assert len(items) == len(listed) == band_counts(session).must_look
    for item in listed:
        assert standing(session, Filters(), item.scan).problem == item.reason
    for earlier, later in pairwise(listed):
        assert neighbours(session, Filters(band="must_look"), earlier.scan, NOW).following[0] == later.scan
    return items


@pytest.mark.parametrize("then", ["queued", "screening", "paused", "cancelled"])
def test_a_scan_that_is_sent_again_must_be_looked_at_until_it_is_screened(rejected: Database, then: str) -> None:
    with rejected.write() as session:
        run = send_again(session, **({"state": "screening"} if then == "screening" else {}))
        submit_run(session, NOW, run, "test")
        if then == "paused":
            pause_run(session, NOW, run, "test")
        if then == "cancelled":
            cancel_run(session, NOW, run, "test")
    with rejected.read() as session:
        items = must_look(session)
        assert (items[SCAN].run, items[SCAN].reason) == (1, "Cut off at 41%.")
        assert list(whole_worklist(session, Filters(run=run, band="must_look"))) == []
    with rejected.write() as session:
        session.add(
            Prediction(
                scan_id=SCAN, checkpoint_id="one", probability=0.4, activation_map=b"m", engine="test",
                worker="test", created_at=NOW,
            )
        )  # fmt: skip
    with rejected.read() as session:
        assert set(must_look(session)) == {OTHER}
        assert standing(session, Filters(), SCAN).problem is None


def test_the_latest_of_several_reasons_is_told(rejected: Database) -> None:
    with rejected.write() as session:
        second = send_again(session, state="failed", problem="Set aside after five tries.")
        send_again(session)
    with rejected.read() as session:
        item = must_look(session)[SCAN]
    assert (item.run, item.reason) == (second, "Set aside after five tries.")


@pytest.mark.parametrize("view", [Filters(run=1), Filters(run=1, to_read=True), Filters(run=1, band="must_look")])
def test_the_way_through_a_run_passes_over_nothing_between_two_names_of_a_scan(
    rejected: Database, view: Filters
) -> None:
    with rejected.write() as session:
        session.execute(update(Run).values(state="open", submitted_at=None))
        admit_scan(session, NOW, session.get_one(Run, 1), StoredFile("7 again.png", scan_hash(7), 1, "image/png"))
        session.execute(update(Job).values(state="rejected", problem="Cut off at 41%."))
        add_rejected(session, 1, 9)
    with rejected.read() as session:
        assert [item.scan for item in whole_worklist(session, view)] == [SCAN, OTHER, SCAN, scan_id(9)]
        assert neighbours(session, view, SCAN, NOW).following == (OTHER, scan_id(9))
        assert neighbours(session, view, OTHER, NOW).following == (SCAN, scan_id(9))


@pytest.mark.parametrize("state", ["queued", "screened", "rejected", "failed", "cancelled"])
@pytest.mark.parametrize("sent_again", [False, True])
def test_a_candidate_neither_hides_a_scan_nor_speaks_for_it(rejected: Database, state: str, sent_again: bool) -> None:
    with rejected.write() as session:
        if sent_again:
            send_again(session)
        send_again(session, "three", state=state, problem="Of the candidate.")
    with rejected.read() as session:
        item = must_look(session)[SCAN]
    assert (item.run, item.reason) == (1, "Cut off at 41%.")


@pytest.mark.parametrize("then", ["queued", "cancelled", "of a candidate"])
def test_what_the_former_checkpoint_could_not_screen_must_be_looked_at_after_an_activation(
    rejected: Database, then: str
) -> None:
    with rejected.write() as session:
        checkpoints.activate(session, NOW, "two", "test")
        # As the registry keeps it of the first checkpoint of an installation.
        checkpoints.get(session, "one").activated_at = NOW
        if then == "of a candidate":
            send_again(session, "three", state="rejected", problem="Of the candidate.")
        else:
            send_again(session, "two", state=then)
    with rejected.read() as session:
        item = must_look(session)[SCAN]
    assert (item.run, item.reason) == (1, "Cut off at 41%.")


@pytest.mark.parametrize(("state", "listed"), [("queued", False), ("screened", False), ("rejected", True)])
def test_a_candidate_speaks_only_for_what_nobody_else_was_given(rejected: Database, state: str, listed: bool) -> None:
    with rejected.write() as session:
        # Now the candidate is the only one that was given the scan.
        session.execute(update(Run).where(Run.id == 1).values(checkpoint_id="three"))
        session.execute(update(Job).where(Job.scan_id == SCAN).values(state=state))
    with rejected.read() as session:
        assert (SCAN in must_look(session)) == listed
    with rejected.write() as session:
        send_again(session)
    with rejected.read() as session:
        assert SCAN not in must_look(session)


@pytest.mark.parametrize("filters", [Filters(), Filters(body_part="hand")], ids=("plain", "body part"))
def test_sqlite_finds_them_by_their_index(sqlite_url: str, filters: Filters) -> None:
    opened = Database(sqlite_url)
    with opened.engine.connect() as connection, Session(connection) as session:
        with kept_statements(connection) as kept:
            session.execute(must_look_jobs("one", filters))
        statement, parameters = kept[-1]
        plan = [line[-1] for line in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
        session.rollback()
    opened.dispose()
    assert any("ix_jobs_must_look" in line for line in plan), plan
    assert "SCAN jobs" not in plan
