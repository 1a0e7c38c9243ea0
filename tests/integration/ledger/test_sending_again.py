"""A file that is sent again is prepared again where that may help: its original was gone, or it was set aside."""

import pytest
from sqlalchemy import select, update

from screening.database.engine import Database
from screening.database.states import WorkState
from screening.database.tables import Container, Job, Receipt, Rendition, Scan
from screening.ledger.lease import SET_ASIDE_CODE, Lease
from screening.ledger.preparing import claim_renditions, record_rejected
from screening.ledger.reviving import ORIGINAL_MISSING_CODE, ORIGINAL_MISSING_REASON
from screening.ledger.unpacking import claim_container, record_container_rejected
from screening.runs.admission import StoredFile, admit_container, admit_known, admit_scan, known_hashes
from screening.runs.lifecycle import get_run
from tests.integration.ledger.steps import NOW, add_run, claim, prepare_all, record, scan_hash, scan_id, states


def reject(database: Database, code: str) -> None:
    with database.write() as session:
        lease = Lease.new(NOW, 30)
        for item in claim_renditions(session, lease, NOW, 10):
            record_rejected(session, lease, NOW, item.scan_id, item.spec, code, ORIGINAL_MISSING_REASON)


def send(database: Database, run: int, number: int, name: str) -> None:
    with database.write() as session:
        file = StoredFile(name, scan_hash(number), 10, "image/png")
        admit_scan(session, NOW, get_run(session, run), file)


def is_known(database: Database, run: int, number: int) -> bool:
    with database.write() as session:
        admitted = admit_known(session, NOW, get_run(session, run), scan_hash(number), "known.png")
        session.rollback()
    with database.read() as session:
        listed = bool(known_hashes(session, [scan_hash(number)]))
    assert listed == (admitted is not None)
    return listed


def test_nobody_vouches_for_an_original_that_is_gone_until_it_is_sent_again(ledger: Database) -> None:
    run = add_run(ledger, 1, submit=False)
    assert is_known(ledger, run, 0)
    reject(ledger, ORIGINAL_MISSING_CODE)
    assert states(ledger, run) == {"rejected": 1}
    assert not is_known(ledger, run, 0)
    again = add_run(ledger, 1, submit=False)
    assert is_known(ledger, again, 0)


def test_a_file_whose_original_was_gone_is_prepared_and_screened_when_it_is_sent_again(ledger: Database) -> None:
    add_run(ledger, 1)
    reject(ledger, ORIGINAL_MISSING_CODE)
    again = add_run(ledger, 1, "urgent")
    assert states(ledger, again) == {"preparing": 1}
    with ledger.read() as session:
        rendition = session.scalars(select(Rendition)).one()
    assert (rendition.state, rendition.lane, rendition.attempts) == (WorkState.WAITING, 0, 0)
    assert (rendition.problem_code, rendition.problem, rendition.finished_at) == (None, None, None)
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    assert record(ledger, batch) == 1
    assert states(ledger, again) == {"screened": 1}


@pytest.mark.parametrize("code", [ORIGINAL_MISSING_CODE, SET_ASIDE_CODE])
def test_sent_again_into_the_same_run_its_jobs_begin_anew_under_every_name(ledger: Database, code: str) -> None:
    run = add_run(ledger, 2, submit=False)
    send(ledger, run, 0, "other name.png")
    reject(ledger, code)
    assert states(ledger, run) == {"rejected": 3}
    send(ledger, run, 0, "0.png")
    assert states(ledger, run) == {"preparing": 2, "rejected": 1}
    with ledger.read() as session:
        jobs = session.scalars(select(Job).where(Job.scan_id == scan_id(0))).all()
    assert {(job.problem_code, job.problem, job.finished_at, job.attempts) for job in jobs} == {(None, None, None, 0)}
    prepare_all(ledger)
    assert states(ledger, run) == {"queued": 2, "rejected": 1}


@pytest.mark.parametrize("code", ["too_large", "too_many_pixels", "timeout", "memory", "crashed"])
def test_what_a_limit_load_or_a_crash_stopped_is_tried_again_when_it_is_sent_again(ledger: Database, code: str) -> None:
    run = add_run(ledger, 1, submit=False)
    reject(ledger, code)
    assert states(ledger, run) == {"rejected": 1}
    send(ledger, run, 0, "0.png")
    assert states(ledger, run) == {"preparing": 1}
    reject(ledger, code)
    again = add_run(ledger, 1)
    assert states(ledger, again) == {"preparing": 1}
    prepare_all(ledger)
    assert states(ledger, again) == {"queued": 1}


def test_what_the_same_bytes_cannot_mend_stays_rejected(ledger: Database) -> None:
    run = add_run(ledger, 1, submit=False)
    reject(ledger, "damaged")
    assert is_known(ledger, run, 0)
    send(ledger, run, 0, "0.png")
    assert states(ledger, run) == {"rejected": 1}
    assert states(ledger, add_run(ledger, 1)) == {"rejected": 1}


def test_a_screened_scan_that_lost_its_pictures_has_them_made_again_and_is_not_screened_twice(ledger: Database) -> None:
    """As `screening doctor --repair` leaves it where the original is gone as well."""
    add_run(ledger, 1)
    prepare_all(ledger)
    batch = claim(ledger)
    assert batch is not None
    record(ledger, batch)
    with ledger.write() as session:
        session.execute(update(Rendition).values(state=WorkState.REJECTED, problem_code=ORIGINAL_MISSING_CODE))
        session.execute(update(Scan).values(original_removed_at=NOW))
    assert states(ledger, add_run(ledger, 1)) == {"screened": 1}
    with ledger.read() as session:
        assert session.scalars(select(Rendition.state)).one() == WorkState.WAITING
        assert session.scalars(select(Scan.original_removed_at)).one() is None


@pytest.mark.parametrize(
    ("code", "taken_up"), [(ORIGINAL_MISSING_CODE, True), (SET_ASIDE_CODE, True), ("damaged", False)]
)
def test_a_container_that_is_sent_again_is_unpacked_where_that_may_help(
    ledger: Database, code: str, taken_up: bool
) -> None:
    run = add_run(ledger, 0, submit=False)

    def send_container(name: str) -> str:
        with ledger.write() as session:
            file = StoredFile(name, scan_hash(7), 10, "application/zip")
            return admit_container(session, NOW, get_run(session, run), file).status

    assert send_container("a.zip") == "accepted"
    assert send_container("a.zip") == "duplicate"
    with ledger.write() as session:
        lease = Lease.new(NOW, 30)
        claimed = claim_container(session, lease, NOW)
        assert claimed is not None
        assert record_container_rejected(session, lease, NOW, claimed.container_id, code, "Send it again.")
    assert send_container("a.zip") == ("accepted" if taken_up else "duplicate")
    with ledger.read() as session:
        container = session.scalars(select(Container)).one()
        receipt = session.scalars(select(Receipt)).one()
    if taken_up:
        assert (container.state, container.attempts, container.problem_code) == (WorkState.WAITING, 0, None)
        assert (receipt.status, receipt.code, receipt.reason) == ("accepted", "container", None)
    else:
        assert (container.state, receipt.status, receipt.code) == (WorkState.REJECTED, "rejected", code)
