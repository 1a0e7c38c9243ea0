"""What is recorded: one prediction for a scan, and one bad scan never holds up its neighbours."""

from sqlalchemy import func, select

from screening.database.engine import Database
from screening.database.tables import (
    Job,
    Prediction,
    Run,
)
from screening.ledger.lease import Lease
from screening.ledger.preparing import (
    claim_renditions,
    record_ready,
    record_rejected,
)
from screening.ledger.recording import fail_scan
from screening.runs.admission import StoredFile, admit_scan
from tests.integration.ledger.steps import NOW, add_run, claim, prepare_all, ready, record, scan_hash, states


def test_a_scan_goes_from_preparing_to_screened(ledger: Database) -> None:
    run = add_run(ledger, 3)
    assert states(ledger, run) == {"preparing": 3}
    assert claim(ledger) is None
    prepare_all(ledger)
    assert states(ledger, run) == {"queued": 3}
    batch = claim(ledger)
    assert batch is not None
    assert len(batch.scan_ids) == 3
    assert states(ledger, run) == {"screening": 3}
    assert record(ledger, batch) == 3
    assert states(ledger, run) == {"screened": 3}


def test_a_rejected_scan_ends_its_jobs_with_the_reason_and_its_neighbours_go_on(ledger: Database) -> None:
    run = add_run(ledger, 2)
    lease = Lease.new(NOW, 30)
    with ledger.write() as session:
        bad, good = claim_renditions(session, lease, NOW, 5)
        assert record_rejected(session, lease, NOW, bad.scan_id, bad.spec, "truncated", "Cut off at 41%.")
        assert record_ready(session, lease, NOW, [ready(good.scan_id)]) == [good.scan_id]
    assert states(ledger, run) == {"rejected": 1, "queued": 1}
    assert states(ledger, add_run(ledger, 2)) == {"rejected": 1, "queued": 1}, "known to be unreadable"


def test_one_prediction_for_two_names_and_two_runs(ledger: Database) -> None:
    first = add_run(ledger, 1)
    second = add_run(ledger, 1, submit=False)
    with ledger.write() as session:
        run = session.get_one(Run, second)
        admit_scan(session, NOW, run, StoredFile("other name.png", scan_hash(0), 10, "image/png"))
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    assert len(batch.scan_ids) == 1
    record(ledger, batch)
    assert states(ledger, first) == {"screened": 1}
    assert states(ledger, second) == {"screened": 2}
    with ledger.read() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 1


def test_a_job_that_was_queued_while_its_scan_was_screened_is_finished_by_its_claim(ledger: Database) -> None:
    run = add_run(ledger, 1)
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    record(ledger, batch)
    with ledger.write() as session:
        session.execute(Job.__table__.update().values(state="queued"))  # type: ignore[attr-defined]
    empty = claim(ledger)
    assert empty is not None
    assert empty.scan_ids == ()
    assert states(ledger, run) == {"screened": 1}


def test_one_failed_scan_leaves_its_batch_alone(ledger: Database) -> None:
    run = add_run(ledger, 3)
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    with ledger.write() as session:
        fail_scan(session, batch.lease, NOW, batch.scan_ids[0], "no_answer", "no number")
    assert record(ledger, batch) == 2
    assert states(ledger, run) == {"screened": 2, "failed": 1}
