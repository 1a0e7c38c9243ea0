"""No state change without its lease; what is taken back is tried again, alone at last, and not for ever."""

from datetime import timedelta

from sqlalchemy import func, select, update

from screening.database.engine import Database
from screening.database.tables import (
    Job,
    Prediction,
    Rendition,
    Run,
)
from screening.ledger.lease import Lease
from screening.ledger.preparing import (
    claim_renditions,
    put_back,
    record_ready,
    release_renditions,
)
from screening.ledger.releasing import release_jobs, renew
from screening.ledger.remaking import remake_rendition
from screening.ledger.sweeping import sweep
from tests.integration.ledger.steps import (
    LATER,
    MAX_ATTEMPTS,
    NOW,
    add_run,
    claim,
    prepare_all,
    ready,
    record,
    scan_id,
    states,
)


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
    poison = scan_id(7)
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
    poison, now, claimed = scan_id(7), NOW, []
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


def test_a_missing_rendition_is_made_again_but_not_for_ever(ledger: Database) -> None:
    run = add_run(ledger, 1)
    for _ in range(MAX_ATTEMPTS):
        prepare_all(ledger)
        batch = claim(ledger)
        assert batch is not None
        with ledger.write() as session:
            remake_rendition(session, batch.lease, NOW, batch.scan_ids[0], "spec", MAX_ATTEMPTS)
    assert states(ledger, run) == {"failed": 1}


def test_a_run_that_was_closed_while_its_jobs_began_anew_goes_on(ledger: Database) -> None:
    run = add_run(ledger, 2)
    with ledger.write() as session:
        session.execute(update(Run).values(state="complete", finished_at=NOW))
    with ledger.write() as session:
        sweep(session, NOW + timedelta(minutes=1), MAX_ATTEMPTS)
    with ledger.read() as session:
        reopened = session.get_one(Run, run)
        assert (reopened.state, reopened.finished_at) == ("running", None)
        assert [job.state for job in session.scalars(select(Job))] == ["preparing"] * 2
