"""Which scans a run over the archive holds, and the renditions that it has made for them."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from screening.database.states import RunState
from screening.database.tables import Checkpoint, Job, Prediction, Rendition, Run, Scan
from screening.ledger.claiming import claim_batch
from screening.ledger.due import waiting_renditions, waiting_up_to
from screening.ledger.lease import Lease
from screening.ledger.preparing import claim_renditions, record_ready, record_rejected
from screening.ledger.recording import fail_scan
from screening.ledger.reviving import give_up_unneeded
from screening.rescreening.opening import Opened, open_over_archive
from screening.rescreening.selection import Selection
from screening.runs.lifecycle import cancel_run, pause_run, resume_run
from tests.integration.ledger.steps import add_run, prepare_all, ready, scan_id, states
from tests.integration.rescreening.conftest import MONDAY, Night


def opened(night: Night, checkpoint: str = "two", most: int | None = None, **selection: object) -> Opened | None:
    with night.database.write() as session:
        return open_over_archive(
            session,
            night.now,
            "night",
            session.get_one(Checkpoint, checkpoint),
            Selection.from_json(selection),
            most,
            "schedule 1",
        )


def names(night: Night, run: Opened | None) -> set[str]:
    if run is None:
        return set()
    with night.database.read() as session:
        return set(session.scalars(select(Job.file_name).where(Job.run_id == run.run_id)))


@pytest.fixture
def varied(night: Night) -> Night:
    """The scan n.png was received n days before Monday; probabilities of `one` are n tenths; even ones are hands."""
    with night.database.write() as session:
        for scan in session.scalars(select(Scan)):
            number = int(scan.file_name.removesuffix(".png"))
            scan.received_at = MONDAY - timedelta(days=number)
            scan.body_part = "hand" if number % 2 == 0 else "foot"
            scan.study = "s1" if number < 3 else None
            session.execute(
                update(Prediction)
                .where(Prediction.scan_id == scan.id)
                .values(probability=number / 10, created_at=MONDAY - timedelta(days=number))
            )
    return night


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        ({}, range(10)),
        ({"min_age_days": 7}, (7, 8, 9)),
        ({"max_age_days": 2}, (0, 1, 2)),
        ({"min_age_days": 3, "max_age_days": 4}, (3, 4)),
        ({"body_part": "hand"}, (0, 2, 4, 6, 8)),
        ({"study": "s1"}, (0, 1, 2)),
        ({"band": "likely"}, (8, 9)),
        ({"band": "possible"}, (5, 6, 7)),
        ({"band": "flagged"}, (5, 6, 7, 8, 9)),
        ({"band": "not_flagged", "body_part": "foot"}, (1, 3)),
        ({"band": "must_look"}, ()),
        ({"run": 1, "max_age_days": 0}, (0,)),
        ({"run": 99}, ()),
        ({"not_screened_since": "2026-02-25"}, (6, 7, 8, 9)),
        ({"body_part": ""}, range(10)),
    ],
)
def test_the_selection_decides(varied: Night, selection: dict[str, object], numbers: tuple[int, ...]) -> None:
    assert names(varied, opened(varied, **selection)) == {f"{number}.png" for number in numbers}


def test_the_latest_come_first_and_a_limit_cuts_the_rest(varied: Night) -> None:
    first = opened(varied, most=4)
    assert first is not None
    assert first.jobs == 4
    assert names(varied, first) == {"0.png", "1.png", "2.png", "3.png"}
    assert varied.screen() == 4
    assert names(varied, opened(varied, most=4)) == {"4.png", "5.png", "6.png", "7.png"}, "the next night goes on"


def test_what_the_checkpoint_has_screened_is_left_out_and_predictions_stay_apart(night: Night) -> None:
    assert opened(night, "one") is None
    with night.database.read() as session:
        assert session.scalar(select(func.count()).select_from(Run)) == 1
    run = opened(night)
    assert run is not None
    assert (run.jobs, run.renditions) == (10, 0)
    assert states(night.database, run.run_id) == {"queued": 10}
    assert night.screen() == 10
    assert (night.predictions("one"), night.predictions("two")) == (10, 10)
    assert opened(night) is None


def test_what_cannot_be_screened_is_reported_once(night: Night) -> None:
    run = opened(night)
    with night.database.write() as session:
        batch = claim_batch(session, Lease.new(night.now, 30), night.now, 1)
        assert batch is not None
        fail_scan(session, batch.lease, night.now, batch.scan_ids[0], "no_answer", "why")
    assert night.screen() == 9
    assert run is not None
    assert states(night.database, run.run_id) == {"screened": 9, "failed": 1}
    assert opened(night) is None


def test_another_rendition_spec_has_renditions_made_first_and_the_run_says_so(night: Night) -> None:
    run = opened(night, "other")
    assert run is not None
    assert (run.jobs, run.renditions) == (10, 10)
    assert states(night.database, run.run_id) == {"preparing": 10}
    with night.database.read() as session:
        assert "10 scans are made anew" in (session.get_one(Run, run.run_id).remark or "")
    assert night.screen() == 0
    with night.database.write() as session:
        lease = Lease.new(night.now, 30)
        claims = claim_renditions(session, lease, night.now, 100)
        assert {claim.spec for claim in claims} == {"other-spec"}
        gone, *others = claims
        record_rejected(session, lease, night.now, gone.scan_id, gone.spec, "original_missing", "gone")
        made = [ready(claim.scan_id) for claim in others]
        record_ready(session, lease, night.now, [type(m)(**{**m.__dict__, "spec": "other-spec"}) for m in made])
    assert night.screen() == 9
    assert states(night.database, run.run_id) == {"screened": 9, "rejected": 1}, "one original is gone, no more"
    assert opened(night, "other") is None


def test_scans_whose_originals_expired_come_in_again_once_they_are_back(night: Night) -> None:
    """Their renditions for this checkpoint were waited for by a night that was cancelled."""
    first = opened(night, "other")
    assert first is not None
    with night.database.write() as session:
        cancel_run(session, night.now, first.run_id, "anna")
        session.execute(update(Scan).values(original_removed_at=night.now))
        give_up_unneeded(session, night.now, [scan_id(number) for number in range(10)])
    assert opened(night, "other") is None
    add_run(night.database, 10)  # Sent again, under the checkpoint that is active.
    again = opened(night, "other")
    assert again is not None
    assert (again.jobs, again.renditions) == (10, 10)
    with night.database.write() as session:
        claimed = claim_renditions(session, Lease.new(night.now, 30), night.now, 100)
    assert {claim.scan_id for claim in claimed if claim.spec == "other-spec"} == {scan_id(n) for n in range(10)}


def test_a_scan_that_is_erased_while_the_run_is_opened_is_not_in_it(night: Night) -> None:
    """Its rows are still seen by the statement that reads the archive, and gone when its job is claimed."""
    with night.database.write() as session:
        session.execute(update(Scan).where(Scan.id == scan_id(3)).values(erased_at=night.now))
    run = opened(night)
    assert run is not None
    assert run.jobs == 9
    assert states(night.database, run.run_id) == {"queued": 9}


def test_a_scan_whose_original_was_gone_comes_in_again_once_it_is_back(night: Night) -> None:
    first = opened(night, "other", most=1)
    assert first is not None
    with night.database.write() as session:
        lease = Lease.new(night.now, 30)
        [gone] = claim_renditions(session, lease, night.now, 100)
        record_rejected(session, lease, night.now, gone.scan_id, gone.spec, "original_missing", "gone")
    second = opened(night, "other")
    assert second is not None
    assert second.jobs == 9, "left out while it is gone"
    add_run(night.database, 10)  # Sent again, under the checkpoint that is active.
    third = opened(night, "other")
    assert third is not None
    with night.database.write() as session:
        jobs = select(Job.scan_id).where(Job.run_id == third.run_id, Job.state == "preparing")
        assert gone.scan_id in session.scalars(jobs).all()
        lease = Lease.new(night.now, 30)
        claims = {claim.scan_id: claim for claim in claim_renditions(session, lease, night.now, 100)}
        assert claims[gone.scan_id].attempts == 1


def test_renditions_of_a_paused_night_wait_and_uploads_do_not(night: Night) -> None:
    run = opened(night, "other")
    assert run is not None
    with night.database.write() as session:
        pause_run(session, night.now, run.run_id, "schedule 1")
        assert not waiting_renditions(session)
        assert claim_renditions(session, Lease.new(night.now, 30), night.now, 100) == []
    add_run(night.database, 1, first=70)
    with night.database.write() as session:
        assert len(claim_renditions(session, Lease.new(night.now, 30), night.now, 100)) == 1
        resume_run(session, night.now, run.run_id, "schedule 1")
    add_run(night.database, 1, first=71)
    with night.database.write() as session:
        [first, *rest] = claim_renditions(session, Lease.new(night.now, 30), night.now, 4)
        assert first.spec == "spec" or any(claim.spec == "spec" for claim in rest), "the upload is among the first"
        assert len(rest) == 3


def test_an_archive_upload_by_day_does_not_wait_behind_a_paused_night(night: Night) -> None:
    run = opened(night, "other")
    assert run is not None
    with night.database.write() as session:
        pause_run(session, night.now, run.run_id, "schedule 1")
    add_run(night.database, 2, lane="archive", first=70)
    with night.database.write() as session:
        assert waiting_up_to(session, 100) == 2, "an upload is not refused for what a paused night waits for"
        for _ in range(2):
            [claim] = claim_renditions(session, Lease.new(night.now, 30), night.now, 1)
            assert claim.spec == "spec", "the upload alone"
        # The run of the upload is open still: nobody may have to close it for the night to wait.
        assert not waiting_renditions(session)
        assert claim_renditions(session, Lease.new(night.now, 30), night.now, 100) == []
        resume_run(session, night.now, run.run_id, "schedule 1")
        assert waiting_renditions(session)
        assert len(claim_renditions(session, Lease.new(night.now, 30), night.now, 100)) == 10


def test_what_a_cancelled_night_waited_for_comes_last_and_only_beside_other_work_of_the_archive(night: Night) -> None:
    former = opened(night, "other")
    assert former is not None
    with night.database.write() as session:
        cancel_run(session, night.now, former.run_id, "anna")
        assert not waiting_renditions(session)
    add_run(night.database, 2, lane="archive", first=70)
    with night.database.write() as session:
        first = claim_renditions(session, Lease.new(night.now, 30), night.now, 100)
        assert [claim.spec for claim in first] == ["spec", "spec"]
        assert waiting_renditions(session)
        assert len(claim_renditions(session, Lease.new(night.now, 30), night.now, 100)) == 10, "its originals are freed"


def test_renditions_of_the_archive_that_were_tried_come_after_those_that_were_not(night: Night) -> None:
    run = opened(night, "other")
    assert run is not None
    with night.database.write() as session:
        tried = session.scalars(select(Rendition).where(Rendition.spec == "other-spec").limit(2)).all()
        for number, rendition in enumerate(tried):
            rendition.attempts = 2 - number
        claims = [claim_renditions(session, Lease.new(night.now, 30), night.now, 4) for _ in range(4)]
    assert [[claim.attempts - 1 for claim in some] for some in claims] == [[0] * 4, [0] * 4, [1], [2]]


def test_a_rendition_that_is_being_made_meanwhile_is_waited_for_and_not_asked_for_twice(night: Night) -> None:
    add_run(night.database, 1, first=80)
    with night.database.write() as session:
        lease = Lease.new(night.now, 30)
        [claim] = claim_renditions(session, lease, night.now, 10)
    run = opened(night)
    assert run is not None
    assert states(night.database, run.run_id) == {"queued": 10, "preparing": 1}
    with night.database.write() as session:
        assert record_ready(session, lease, night.now, [ready(claim.scan_id)]) == [claim.scan_id]
        assert session.scalar(select(func.count()).where(Rendition.scan_id == claim.scan_id)) == 1
    assert states(night.database, run.run_id) == {"queued": 11}


def test_urgent_and_routine_work_goes_before_a_night_that_is_under_way(night: Night) -> None:
    opened(night)
    assert night.screen(batches=1) == 4
    add_run(night.database, 1, lane="urgent", first=60)
    add_run(night.database, 1, lane="routine", first=61)
    prepare_all(night.database)
    order = []
    with night.database.write() as session:
        for _ in range(3):
            batch = claim_batch(session, Lease.new(night.now, 30), night.now, 4)
            assert batch is not None
            lane = select(Run.lane).join(Job, Job.run_id == Run.id).where(Job.lease_token == batch.lease.token)
            order.append(set(session.scalars(lane)))
        assert session.scalars(select(Run.state).where(Run.lane == 2)).all() == [RunState.RUNNING]
    assert order == [{0}, {1}, {2}]
