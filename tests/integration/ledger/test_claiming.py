"""Who gets what: lanes, checkpoints, and each scan for one worker only."""

from concurrent.futures import ThreadPoolExecutor

from screening.database.engine import Database
from screening.database.states import Lane
from screening.database.tables import (
    Checkpoint,
)
from screening.ledger.claiming import claim_batch
from screening.ledger.lease import Lease
from screening.ledger.preparing import (
    claim_renditions,
)
from screening.ledger.sweeping import sweep
from screening.runs.lifecycle import cancel_run, pause_run, resume_run
from tests.integration.ledger.steps import (
    LATER,
    MAX_ATTEMPTS,
    NOW,
    add_checkpoint,
    add_run,
    claim,
    prepare_all,
    record,
    scan_id,
    states,
)


def test_urgent_before_routine_before_archive_and_batches_fill_across_runs(ledger: Database) -> None:
    archive = add_run(ledger, 3, "archive", 0)
    routine = add_run(ledger, 3, "routine", 10)
    urgent = add_run(ledger, 1, "urgent", 20)
    also_urgent = add_run(ledger, 1, "urgent", 30)
    prepare_all(ledger)
    first = claim(ledger, 5)
    assert first is not None
    assert first.lane == Lane.URGENT
    assert states(ledger, urgent) == states(ledger, also_urgent) == {"screening": 1}
    assert states(ledger, routine) == {"queued": 3}  # An urgent batch is not kept waiting by others.
    assert claim(ledger, 5) is not None
    assert states(ledger, routine) == {"screening": 3}
    assert states(ledger, archive) == {"screening": 2, "queued": 1}


def test_an_urgent_run_raises_the_lane_of_a_rendition_that_waits(ledger: Database) -> None:
    add_run(ledger, 50, "archive", 0)
    add_run(ledger, 1, "urgent", 49)
    with ledger.write() as session:
        first = claim_renditions(session, Lease.new(NOW, 30), NOW, 1)
    assert first[0].scan_id == scan_id(49)


def test_a_batch_holds_one_checkpoint_only(ledger: Database) -> None:
    first = add_run(ledger, 2)
    with ledger.write() as session:
        session.execute(Checkpoint.__table__.update().values(active=False))  # type: ignore[attr-defined]
        add_checkpoint(session, "two", active=True)
    second = add_run(ledger, 2, first=10)
    prepare_all(ledger)
    batch = claim(ledger, 8)
    assert batch is not None
    assert batch.checkpoint_id == "one"
    assert states(ledger, first) == {"screening": 2}
    assert states(ledger, second) == {"queued": 2}
    with ledger.write() as session:
        other = claim_batch(session, Lease.new(NOW, 30), NOW, 8, refused={"one"})
    assert other is not None
    assert other.checkpoint_id == "two"


def test_a_worker_that_holds_a_batch_can_leave_what_was_tried_before(ledger: Database) -> None:
    older = add_run(ledger, 2)
    prepare_all(ledger)
    first = claim(ledger)
    assert first is not None
    assert not first.tried
    with ledger.write() as session:
        sweep(session, LATER, MAX_ATTEMPTS)
    newer = add_run(ledger, 2, first=10)
    prepare_all(ledger)
    for run, count in ((newer, 2), (None, 0)):
        with ledger.write() as session:
            ahead = claim_batch(session, Lease.new(LATER, 30), LATER, 4, untried_only=True)
        assert (0 if ahead is None else len(ahead.scan_ids)) == count, run
    assert states(ledger, newer) == {"screening": 2}
    assert states(ledger, older) == {"queued": 2}
    again = claim(ledger, 8, LATER)
    assert again is not None
    assert again.tried
    assert len(again.scan_ids) == 2


def test_paused_and_cancelled_runs_are_not_claimed(ledger: Database) -> None:
    run = add_run(ledger, 2)
    prepare_all(ledger)
    with ledger.write() as session:
        pause_run(session, NOW, run, "test")
    assert claim(ledger) is None
    with ledger.write() as session:
        assert resume_run(session, NOW, run, "test").state == "running"
        cancel_run(session, NOW, run, "test")
    assert claim(ledger) is None
    assert states(ledger, run) == {"cancelled": 2}


def test_many_workers_at_once_screen_each_scan_once(ledger: Database) -> None:
    """Eight claimants on one ledger: no scan in two batches, all scans in one of them."""
    run = add_run(ledger, 200)
    prepare_all(ledger)

    def work() -> list[str]:
        mine: list[str] = []
        while True:
            batch = claim(ledger, 8)
            if batch is None:
                return mine
            mine += batch.scan_ids
            record(ledger, batch)

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda _: work(), range(8)))
    screened = [scan for result in results for scan in result]
    assert len(screened) == len(set(screened)) == 200
    assert states(ledger, run) == {"screened": 200}
