"""The ledger's promises on both databases: no state change without its lease, nothing lost, nothing twice."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.database.engine import Database
from screening.database.states import Lane
from screening.database.tables import (
    AuditEvent,
    Checkpoint,
    Job,
    OperatingPointChange,
    Prediction,
    Rendition,
    Run,
)
from screening.ledger.claiming import BatchClaim, claim_batch
from screening.ledger.lease import Lease
from screening.ledger.preparing import (
    PreparedScan,
    claim_renditions,
    put_back,
    record_ready,
    record_rejected,
    release_renditions,
)
from screening.ledger.recording import Outcome, fail_scan, record_batch
from screening.ledger.releasing import release_jobs, renew
from screening.ledger.remaking import remake_rendition
from screening.ledger.sweeping import sweep
from screening.runs import lifecycle
from screening.runs.admission import StoredFile, admit_scan
from screening.runs.lifecycle import cancel_run, get_run, open_run, pause_run, resume_run, submit_run
from screening.runs.progress import progress_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
MAX_ATTEMPTS = 5


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


@pytest.fixture
def ledger(database: Database) -> Iterator[Database]:
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
    yield database


def add_run(database: Database, scans: int, lane: str = "routine", first: int = 0, submit: bool = True) -> int:
    with database.write() as session:
        run = open_run(session, NOW, "run", lane, "test")
        for number in range(first, first + scans):
            admit_scan(session, NOW, run, StoredFile(f"{number}.png", f"{number:064x}"[::-1], 10, "image/png"))
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
    assert first[0].scan_id == f"{49:064x}"[::-1][:32]


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


def test_a_worker_that_lost_its_lease_cannot_record(ledger: Database) -> None:
    run = add_run(ledger, 4)
    prepare_all(ledger)
    slow = claim(ledger)
    assert slow is not None
    with ledger.write() as session:
        assert sweep(session, LATER, MAX_ATTEMPTS).jobs == 4
    assert states(ledger, run) == {"queued": 4}
    assert record(ledger, slow, LATER) == 0
    with ledger.read() as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 0


def test_a_renewed_lease_is_not_swept(ledger: Database) -> None:
    add_run(ledger, 2)
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    with ledger.write() as session:
        assert renew(session, batch.lease, LATER + timedelta(seconds=30)) == 2
        assert sweep(session, LATER, MAX_ATTEMPTS).jobs == 0
    assert record(ledger, batch, LATER) == 2


def test_a_lease_that_a_wrong_clock_gave_is_taken_back(ledger: Database) -> None:
    run = add_run(ledger, 1)
    prepare_all(ledger)
    assert claim(ledger, now=NOW + timedelta(hours=3)) is not None
    with ledger.write() as session:
        assert sweep(session, NOW, MAX_ATTEMPTS, timedelta(seconds=30)).jobs == 1
    assert states(ledger, run) == {"queued": 1}
    assert claim(ledger, now=NOW + timedelta(minutes=4)) is not None
    with ledger.write() as session:
        assert sweep(session, NOW, MAX_ATTEMPTS, timedelta(seconds=30)).jobs == 0, "clocks may differ by minutes"


def test_what_kills_its_worker_is_soon_alone_and_then_set_aside(ledger: Database) -> None:
    """One poisonous scan among 31 good ones, with a worker that dies on every batch that holds it."""
    run = add_run(ledger, 32)
    prepare_all(ledger)
    poison = f"{7:064x}"[::-1][:32]
    sizes, now = [], NOW
    for _ in range(60):
        batch = claim(ledger, 32, now)
        if batch is None:
            break
        if poison in batch.scan_ids:
            sizes.append(len(batch.scan_ids))
            now += timedelta(minutes=1)
            with ledger.write() as session:
                sweep(session, now, MAX_ATTEMPTS)
        else:
            record(ledger, batch, now)
    assert sizes == [32, 8, 2, 1, 1]
    assert states(ledger, run) == {"screened": 31, "failed": 1}
    with ledger.read() as session:
        failed = session.scalars(select(Job).where(Job.state == "failed")).one()
        assert failed.scan_id == poison
        assert failed.problem_code == "set_aside"
        assert "5 times" in (failed.problem or "")
    with ledger.write() as session:
        sweep(session, now, MAX_ATTEMPTS)
        assert session.get_one(Run, run).state == "complete"


def test_an_original_that_ends_its_worker_is_soon_alone_and_its_neighbours_are_prepared(ledger: Database) -> None:
    run = add_run(ledger, 32)
    poison, now, claimed = f"{7:064x}"[::-1][:32], NOW, []
    while True:
        with ledger.write() as session:
            lease = Lease.new(now, 30)
            claims = claim_renditions(session, lease, now, 32)
            if not claims:
                break
            claimed.append(len(claims))
            if poison not in {claim.scan_id for claim in claims}:
                record_ready(session, lease, now, [ready(claim.scan_id) for claim in claims])
        now += timedelta(minutes=1)
        with ledger.write() as session:
            sweep(session, now, MAX_ATTEMPTS)
    assert claimed[:2] == [32, 8]
    assert states(ledger, run) == {"queued": 31, "rejected": 1}


def test_a_scan_that_stops_its_decoder_again_and_again_is_set_aside(ledger: Database) -> None:
    run = add_run(ledger, 1)
    now = NOW
    for _ in range(MAX_ATTEMPTS):
        with ledger.write() as session:
            assert len(claim_renditions(session, Lease.new(now, 30), now, 5)) == 1
        now += timedelta(minutes=1)
        with ledger.write() as session:
            sweep(session, now, MAX_ATTEMPTS)
    assert states(ledger, run) == {"rejected": 1}
    again = add_run(ledger, 1)
    assert states(ledger, again) == {"preparing": 1}, "sent again, it is tried again"


def test_released_work_is_not_counted_as_tried(ledger: Database) -> None:
    run = add_run(ledger, 2)
    lease = Lease.new(NOW, 30)
    with ledger.write() as session:
        claim_renditions(session, lease, NOW, 5)
        release_renditions(session, lease)
        assert set(session.scalars(select(Rendition.attempts))) == {0}
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    with ledger.write() as session:
        release_jobs(session, batch.lease, tried=False, max_attempts=MAX_ATTEMPTS, now=NOW)
        assert set(session.scalars(select(Job.attempts))) == {0}
    assert states(ledger, run) == {"queued": 2}


def test_a_rendition_put_back_stays_counted(ledger: Database) -> None:
    add_run(ledger, 1)
    lease = Lease.new(NOW, 30)
    with ledger.write() as session:
        item = claim_renditions(session, lease, NOW, 5)[0]
        put_back(session, lease, item.scan_id, item.spec)
        assert claim_renditions(session, Lease.new(NOW, 30), NOW, 5)[0].attempts == 2


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
        admit_scan(session, NOW, run, StoredFile("other name.png", f"{0:064x}"[::-1], 10, "image/png"))
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


def test_a_missing_rendition_is_made_again_but_not_for_ever(ledger: Database) -> None:
    run = add_run(ledger, 1)
    for _ in range(MAX_ATTEMPTS):
        prepare_all(ledger)
        batch = claim(ledger)
        assert batch is not None
        with ledger.write() as session:
            remake_rendition(session, batch.lease, NOW, batch.scan_ids[0], "spec", MAX_ATTEMPTS)
    assert states(ledger, run) == {"failed": 1}


def test_runs_complete_only_when_submitted_and_done(ledger: Database) -> None:
    run = add_run(ledger, 1, submit=False)
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    record(ledger, batch)
    with ledger.write() as session:
        assert sweep(session, NOW, MAX_ATTEMPTS).runs_completed == 0
        assert submit_run(session, NOW, run, "test").state == "complete"
        assert submit_run(session, NOW, run, "test").state == "complete", "submitting twice is no error"


def test_two_requests_that_submit_a_run_at_once_are_noted_as_one(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres_url)
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
    run = add_run(database, 1, submit=False)
    both_have_looked = threading.Barrier(2)

    def look(*arguments: Any, **options: Any) -> Run:
        found = get_run(*arguments, **options)
        both_have_looked.wait(20)
        return found

    def submit(_: int) -> None:
        with database.write() as session:
            submit_run(session, NOW, run, "test")

    monkeypatch.setattr(lifecycle, "get_run", look)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(submit, range(2)))
    with database.read() as session:
        events = session.scalars(select(AuditEvent.action)).all()
    database.dispose()
    assert events.count("run.submitted") == 1


def test_progress_counts_add_up(ledger: Database) -> None:
    run = add_run(ledger, 6)
    prepare_all(ledger)
    batch = claim(ledger, 4)
    assert batch is not None
    record(ledger, batch, NOW + timedelta(seconds=10))
    with ledger.read() as session:
        progress = progress_of(session, NOW + timedelta(seconds=10), session.get_one(Run, run))
    assert (progress.total, progress.screened, progress.queued) == (6, 4, 2)
    assert (progress.likely, progress.possible, progress.flagged) == (1, 3, 4)
    assert progress.rate_per_s == pytest.approx(0.4)
    assert progress.eta_s == pytest.approx(5.0)
    assert progress.oldest_waiting_s == pytest.approx(10.0)


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
