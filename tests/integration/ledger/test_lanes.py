"""A rendition waits in the lane of the most urgent live run that needs it, however it came to wait."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.database.engine import Database
from screening.database.states import Lane, WorkState
from screening.database.tables import Container, Rendition
from screening.ledger.due import waiting_renditions
from screening.ledger.lease import Lease
from screening.ledger.preparing import (
    RenditionClaim,
    claim_renditions,
    put_back,
    release_renditions,
)
from screening.ledger.remaking import remake_rendition
from screening.ledger.sweeping import complete_runs, sweep
from screening.ledger.unpacking import claim_container
from screening.runs.admission import StoredFile, admit_scan
from screening.runs.lifecycle import cancel_run, change_lane, open_run
from tests.installation import wait_until
from tests.integration.ledger.steps import (
    LATER,
    MAX_ATTEMPTS,
    NOW,
    add_checkpoint,
    add_run,
    claim,
    prepare_all,
    record,
    scan_hash,
    scan_id,
)


def lanes(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Rendition.lane).order_by(Rendition.scan_id)))


def claim_one(database: Database) -> tuple[Lease, RenditionClaim]:
    lease = Lease.new(NOW, 30)
    with database.write() as session:
        [claimed] = claim_renditions(session, lease, NOW, 1)
    return lease, claimed


def put_it_back(session: Session, lease: Lease, claimed: RenditionClaim) -> None:
    put_back(session, lease, claimed.scan_id, claimed.spec)


def release(session: Session, lease: Lease, _: RenditionClaim) -> None:
    release_renditions(session, lease)


def expire(session: Session, _: Lease, __: RenditionClaim) -> None:
    sweep(session, LATER, MAX_ATTEMPTS)


HandBack = Callable[[Session, Lease, RenditionClaim], None]
hand_backs = pytest.mark.parametrize("hand_back", [put_it_back, release, expire])


@hand_backs
def test_what_became_urgent_while_it_was_being_made_is_urgent_when_it_comes_back(
    ledger: Database, hand_back: HandBack
) -> None:
    archive = add_run(ledger, 1, "archive")
    lease, claimed = claim_one(ledger)
    add_run(ledger, 1, "urgent")
    with ledger.write() as session:
        cancel_run(session, NOW, archive, "test")
        hand_back(session, lease, claimed)
        assert waiting_renditions(session)
        assert len(claim_renditions(session, Lease.new(LATER, 30), LATER, 4)) == 1
    assert lanes(ledger) == [Lane.URGENT]


@hand_backs
def test_what_only_the_archive_needs_any_more_comes_back_to_its_lane(ledger: Database, hand_back: HandBack) -> None:
    urgent = add_run(ledger, 1, "urgent")
    add_run(ledger, 1, "archive")
    lease, claimed = claim_one(ledger)
    with ledger.write() as session:
        cancel_run(session, NOW, urgent, "test")
        hand_back(session, lease, claimed)
    assert lanes(ledger) == [Lane.ARCHIVE]


@hand_backs
def test_what_no_job_waits_for_comes_back_where_it_was(ledger: Database, hand_back: HandBack) -> None:
    run = add_run(ledger, 1, "routine")
    lease, claimed = claim_one(ledger)
    with ledger.write() as session:
        cancel_run(session, NOW, run, "test")
        hand_back(session, lease, claimed)
    assert lanes(ledger) == [Lane.ROUTINE]


def test_jobs_for_another_rendition_make_it_no_more_urgent(ledger: Database) -> None:
    add_run(ledger, 1, "archive")
    lease, claimed = claim_one(ledger)
    with ledger.write() as session:
        add_checkpoint(session, "two", active=False, spec="other")
        checkpoints.activate(session, NOW, "two", "test")
    add_run(ledger, 1, "urgent")
    with ledger.write() as session:
        put_back(session, lease, claimed.scan_id, claimed.spec)
        found = dict(session.execute(select(Rendition.spec, Rendition.lane)).all())
    assert found == {"spec": Lane.ARCHIVE, "other": Lane.URGENT}


def test_a_rendition_that_is_made_again_is_as_urgent_as_who_missed_it(ledger: Database) -> None:
    """First made for an archive that is done, and missed by an urgent run of another checkpoint."""
    add_run(ledger, 1, "archive")
    prepare_all(ledger)
    first = claim(ledger)
    assert first is not None
    record(ledger, first)
    with ledger.write() as session:
        assert complete_runs(session, NOW) == 1
        add_checkpoint(session, "two", active=False)
        checkpoints.activate(session, NOW, "two", "test")
    add_run(ledger, 1, "urgent")
    batch = claim(ledger)
    assert batch is not None
    with ledger.write() as session:
        remake_rendition(session, batch.lease, NOW, batch.scan_ids[0], "spec", MAX_ATTEMPTS)
        assert len(claim_renditions(session, Lease.new(NOW, 30), NOW, 4)) == 1
    assert lanes(ledger) == [Lane.URGENT]


def test_a_rendition_that_is_missed_while_it_is_being_made_again_becomes_as_urgent(ledger: Database) -> None:
    add_run(ledger, 1, "archive")
    prepare_all(ledger)
    with ledger.write() as session:
        add_checkpoint(session, "two", active=False)
        checkpoints.activate(session, NOW, "two", "test")
    add_run(ledger, 1, "urgent")
    urgent, archive = claim(ledger), claim(ledger)
    assert urgent is not None
    assert archive is not None
    with ledger.write() as session:
        remake_rendition(session, archive.lease, NOW, archive.scan_ids[0], "spec", MAX_ATTEMPTS)
    assert lanes(ledger) == [Lane.ARCHIVE]
    with ledger.write() as session:
        remake_rendition(session, urgent.lease, NOW, urgent.scan_ids[0], "spec", MAX_ATTEMPTS)
    assert lanes(ledger) == [Lane.URGENT]


def test_a_run_that_becomes_less_urgent_leaves_what_others_need_where_it_is(ledger: Database) -> None:
    run = add_run(ledger, 2, "urgent")
    add_run(ledger, 1, "routine", first=1)
    with ledger.write() as session:
        change_lane(session, NOW, run, "archive", "test")
    assert dict(zip(sorted((scan_id(0), scan_id(1))), lanes(ledger), strict=True)) == {
        scan_id(0): Lane.ARCHIVE,
        scan_id(1): Lane.ROUTINE,
    }


def test_a_run_that_becomes_urgent_takes_along_what_is_being_made_for_it(ledger: Database) -> None:
    run = add_run(ledger, 2, "archive")
    lease, _ = claim_one(ledger)
    with ledger.write() as session:
        change_lane(session, NOW, run, "urgent", "test")
        release_renditions(session, lease)
    assert lanes(ledger) == [Lane.URGENT] * 2


@pytest.mark.parametrize("first", ["admission", "hand-back"])
def test_of_a_hand_back_and_an_admission_at_once_the_second_sees_the_first(postgres_url: str, first: str) -> None:
    """On PostgreSQL; SQLite lets one write after the other."""
    database = Database(postgres_url)
    with database.write() as session:
        add_checkpoint(session, "one", active=True)
    add_run(database, 1, "archive")
    lease, claimed = claim_one(database)

    def hand_back(session: Session) -> None:
        put_back(session, lease, claimed.scan_id, claimed.spec)

    def admit(session: Session) -> None:
        run = open_run(session, NOW, "run", "urgent", "test")
        admit_scan(session, NOW, run, StoredFile("0.png", scan_hash(0), 10, "image/png"))

    def do(work: Callable[[Session], None]) -> None:
        with database.write() as session:
            work(session)

    def is_held_up() -> bool:
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with database.read() as session:
            return bool(session.scalar(text(waiting)))

    sooner, later = (admit, hand_back) if first == "admission" else (hand_back, admit)
    with ThreadPoolExecutor(1) as pool:
        with database.write() as session:
            sooner(session)
            second = pool.submit(do, later)
            wait_until(is_held_up, 20, "the second waits for the first")
        second.result(20)
    assert lanes(database) == [Lane.URGENT]
    database.dispose()


def test_a_runs_waiting_zips_move_to_its_new_lane(ledger: Database) -> None:
    with ledger.write() as session:
        runs = [open_run(session, NOW, name, lane, "t").id for name, lane in (("a", "routine"), ("b", "archive"))]
        for number, (run, lane) in enumerate(zip(runs, (Lane.ROUTINE, Lane.ARCHIVE), strict=True)):
            session.add(
                Container(
                    run_id=run,
                    sha256=scan_hash(number),
                    file_name="a.zip",
                    state=WorkState.WAITING,
                    lane=lane,
                    queued_at=NOW,
                )
            )
        change_lane(session, NOW, runs[1], "urgent", "t")
    with ledger.write() as session:
        claimed = claim_container(session, Lease.new(NOW, 30), NOW)
    assert claimed is not None
    assert claimed.run_id == runs[1]
