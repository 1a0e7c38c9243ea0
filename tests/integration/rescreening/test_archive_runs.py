"""The runs of visits: one goes on where a visit was cut short, for the active checkpoint, and none stays open."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, update

from screening import checkpoints
from screening.archives.registry import archive_url, claim_visit, remove_archive, want_visit
from screening.archives.visiting import visit
from screening.clock import utc_now
from screening.database.schedule_tables import Archive
from screening.database.tables import Job, Run, Scan
from screening.errors import Conflict
from screening.ledger.lease import Lease
from screening.runs.lifecycle import cancel_run, submit_run
from tests.installation import Installation
from tests.integration.ledger.steps import add_checkpoint
from tests.integration.rescreening.visits import add, put_pictures, visit_now
from worker.archives import Visitor


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    return put_pictures(tmp_path / "ward", 5)


@pytest.fixture
def archive(made: Installation, ward: Path) -> int:
    return add(made, archive_url(str(ward), made.system.settings.resolved_storage_url))


def claim(made: Installation) -> tuple[Archive, Lease]:
    with made.system.database.write() as session:
        lease = Lease.new(utc_now(), 60)
        claimed = claim_visit(session, utc_now(), lease)
    assert claimed is not None
    return claimed, lease


def end_lease(made: Installation) -> None:
    with made.system.database.write() as session:
        assert claim_visit(session, utc_now(), Lease.new(utc_now(), 60)) is None
        session.execute(update(Archive).values(lease_until=utc_now() - timedelta(seconds=1)))


def activate_another(made: Installation) -> str:
    with made.system.database.write() as session:
        spec = checkpoints.active(session).rendition_spec
        add_checkpoint(session, "another", active=False, spec=spec)
        return checkpoints.activate(session, utc_now(), "another", "tests").id


def jobs_by_checkpoint(made: Installation) -> dict[str, int]:
    with made.system.database.read() as session:
        counted = select(Run.checkpoint_id, func.count()).join(Job, Job.run_id == Run.id).group_by(Run.checkpoint_id)
        return dict(session.execute(counted).all())


def run_states(made: Installation) -> list[tuple[str, str]]:
    with made.system.database.read() as session:
        return [tuple(row) for row in session.execute(select(Run.checkpoint_id, Run.state).order_by(Run.id))]


@pytest.mark.parametrize("activated", [False, True])
def test_a_visit_that_is_cut_short_goes_on_in_the_same_run_while_its_checkpoint_is_active(
    made: Installation, archive: int, activated: bool
) -> None:
    with made.system.database.read() as session:
        former = checkpoints.active(session).id
    claimed, lease = claim(made)
    calls = iter((False, True, True))
    assert not visit(made.system, claimed, lease, lambda: next(calls), chunk=3).whole
    # Killed here: the lease expires, and the next visit reads only what was not seen.
    end_lease(made)
    if activated:
        activate_another(made)
    seen = visit_now(made, archive)
    assert (seen.found, seen.admitted, seen.problem) == (5, 2, None)
    if activated:
        assert jobs_by_checkpoint(made) == {former: 3, "another": 2}
        assert run_states(made) == [(former, "running"), ("another", "running")], "nobody adds to either any more"
    else:
        assert run_states(made) == [(former, "running")]
        assert jobs_by_checkpoint(made) == {former: 5}


def test_a_checkpoint_that_is_activated_during_a_visit_screens_what_the_visit_admits_from_then_on(
    made: Installation, archive: int
) -> None:
    claimed, lease = claim(made)
    batches = iter(("first", "second"))

    def activated_before_the_second() -> bool:
        if next(batches) == "second":
            activate_another(made)
        return False

    assert visit(made.system, claimed, lease, activated_before_the_second, chunk=3).whole
    found = jobs_by_checkpoint(made)
    assert found.pop("another") == 2
    assert list(found.values()) == [3]
    assert [state for _, state in run_states(made)] == ["running", "running"]
    with made.system.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Scan)) == 5


def test_an_archive_that_is_removed_while_it_is_visited_leaves_no_run_open(made: Installation, archive: int) -> None:
    claimed, lease = claim(made)
    batches = iter(("first", "second"))

    def removed_before_the_second() -> bool:
        if next(batches) == "second":
            with made.system.database.write() as session:
                remove_archive(session, utc_now(), archive, "tests")
        return False

    assert not visit(made.system, claimed, lease, removed_before_the_second, chunk=3).whole
    assert [state for _, state in run_states(made)] == ["running"]
    assert sum(jobs_by_checkpoint(made).values()) == 3


@pytest.mark.parametrize("end", [submit_run, cancel_run])
def test_a_run_that_a_person_ends_during_a_visit_takes_nothing_more(
    made: Installation, archive: int, end: Callable[..., Run]
) -> None:
    """Submitted, another run takes the rest; cancelled, the visit ends and says so, and the next one goes on."""
    claimed, lease = claim(made)
    batches = iter(("first", "second"))

    def ended_before_the_second() -> bool:
        if next(batches) == "second":
            with made.system.database.write() as session:
                end(session, utc_now(), 1, "anna")
        return False

    if end is submit_run:
        assert visit(made.system, claimed, lease, ended_before_the_second, chunk=3).whole
    else:
        with pytest.raises(Conflict, match=r"Run 1 was cancelled, and the visit ended with it"):
            visit(made.system, claimed, lease, ended_before_the_second, chunk=3)
        end_lease(made)
        visit_now(made, archive)
    states = [state for _, state in run_states(made)]
    assert states == ["cancelled" if end is cancel_run else "running", "running"]
    assert sum(jobs_by_checkpoint(made).values()) == 5


def test_a_visit_whose_archive_was_removed_opens_no_run(made: Installation, archive: int) -> None:
    claimed, lease = claim(made)
    with made.system.database.write() as session:
        remove_archive(session, utc_now(), archive, "tests")
    assert not visit(made.system, claimed, lease, lambda: False).whole
    assert run_states(made) == []


def test_a_run_that_a_visit_left_open_is_submitted_with_the_removal(made: Installation, archive: int) -> None:
    claimed, lease = claim(made)
    calls = iter((False, True))
    assert not visit(made.system, claimed, lease, lambda: next(calls), chunk=3).whole
    assert [state for _, state in run_states(made)] == ["open"]
    with made.system.database.write() as session:
        remove_archive(session, utc_now(), archive, "tests")
    assert [state for _, state in run_states(made)] == ["running"]


def test_a_visit_that_is_asked_for_during_another_comes_after_it(made: Installation, archive: int) -> None:
    claimed, lease = claim(made)
    with made.system.database.write() as session:
        want_visit(session, utc_now(), archive, "tests")
    Visitor(made.system).visit_one(claimed, lease)
    again, lease = claim(made)
    Visitor(made.system).visit_one(again, lease)
    with made.system.database.write() as session:
        assert claim_visit(session, utc_now(), Lease.new(utc_now(), 60)) is None, "once"


def test_a_visit_that_was_killed_is_taken_up_again_once_its_lease_has_ended(made: Installation, archive: int) -> None:
    claim(made)
    end_lease(made)
    claimed, lease = claim(made)
    Visitor(made.system).visit_one(claimed, lease)
    with made.system.database.write() as session:
        assert claim_visit(session, utc_now(), Lease.new(utc_now(), 60)) is None
    assert sum(jobs_by_checkpoint(made).values()) == 5
