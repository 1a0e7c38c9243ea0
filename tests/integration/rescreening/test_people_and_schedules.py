"""What people do to schedules and their runs, under a clock that tests turn, on both databases."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from screening.database.schedule_tables import Schedule
from screening.database.tables import AuditEvent, Job, Run
from screening.errors import Conflict, NotFound, Refused
from screening.rescreening.candidates import nominate, withdraw
from screening.rescreening.notes import NOTES
from screening.rescreening.schedules import (
    Plan,
    change_schedule,
    delete_schedule,
    get_schedule,
    is_at_work,
    pause_schedule,
    resume_schedule,
    run_now,
)
from screening.rescreening.tallies import count_what_ended
from screening.runs.lifecycle import cancel_run, pause_run, resume_run
from tests.integration.rescreening.conftest import MONDAY, Night


def test_what_a_person_paused_stays_paused_and_what_they_resume_runs(night: Night) -> None:
    night.add()
    night.at(0, 22)
    run = night.run()
    with night.database.write() as session:
        pause_run(session, night.now, run, "anna")
    night.at(1, 6)
    night.at(1, 22)
    assert night.notes() == ["paused_by_person", None], "open, for a person may resume it within the window"
    assert night.runs() == [("two", "paused", 10)]
    night.at(2, 6)
    assert night.notes() == ["paused_by_person", "paused_by_person"]
    assert night.runs() == [("two", "paused", 10)]
    with night.database.write() as session:
        resume_run(session, night.now, run, "anna")
    assert night.screen(batches=1) == 4
    night.at(2, 22)
    night.at(3, 6)
    assert night.notes()[-1] == "window_over"
    with night.database.write() as session:
        # The schedule had paused it; a person says that it shall stay so.
        pause_run(session, night.now, run, "anna")
    night.at(3, 22)
    night.at(4, 6)
    assert night.notes()[-1] == "paused_by_person"


def test_what_a_person_resumes_within_the_window_is_paused_at_its_end(night: Night) -> None:
    night.add()
    night.at(0, 22)
    with night.database.write() as session:
        pause_run(session, night.now, night.run(), "anna")
    night.at(1, 22)
    night.now += timedelta(hours=1)
    with night.database.write() as session:
        resume_run(session, night.now, night.run(), "anna")
    night.at(2, 6)
    assert night.runs() == [("two", "paused", 10)], "not on through the working day"
    assert night.notes() == ["paused_by_person", "window_over"]
    assert night.at(2, 22)
    assert night.runs() == [("two", "running", 10)]


@pytest.mark.parametrize("paused_on", [0, 1])
def test_run_now_resumes_a_paused_run_inside_an_open_window(night: Night, paused_on: int) -> None:
    """Paused in this window, or in the one before and left alone in this one."""
    schedule = night.add()
    night.at(0, 22)
    if paused_on == 1:
        night.at(1, 22)
    with night.database.write() as session:
        pause_run(session, night.now, night.run(), "anna")
        assert not is_at_work(session, schedule)
    if paused_on == 0:
        night.at(1, 22)
    with night.database.write() as session:
        run_now(session, night.now, schedule, "anna")
        assert is_at_work(session, schedule)
    assert night.runs() == [("two", "running", 10)]
    with pytest.raises(Conflict, match="at work already"), night.database.write() as session:
        run_now(session, night.now, schedule, "anna")
    night.at(2, 6)
    assert night.runs() == [("two", "paused", 10)]
    assert night.notes()[-1] == "window_over"


def test_a_run_that_was_asked_for_of_a_paused_schedule_can_be_paused(night: Night) -> None:
    schedule = night.add()
    with night.database.write() as session:
        pause_schedule(session, night.now, schedule, "anna")
        run_now(session, night.now, schedule, "anna")
    assert night.tick()
    with night.database.write() as session:
        pause_schedule(session, night.now, schedule, "anna")
    assert night.runs() == [("two", "paused", 10)]
    assert night.notes() == ["schedule_paused"]


def test_a_cancelled_run_is_not_gone_on_with(night: Night) -> None:
    night.add()
    night.at(0, 22)
    with night.database.write() as session:
        cancel_run(session, night.now, night.run(), "anna")
    night.at(0, 23)
    assert night.notes() == ["run_cancelled"]
    assert night.screen() == 0


def test_run_now_works_till_the_window_ends_and_once_at_a_time(night: Night) -> None:
    schedule = night.add()
    with night.database.write() as session:
        run_now(session, night.now, schedule, "anna")
    with pytest.raises(Conflict, match="at work already"), night.database.write() as session:
        run_now(session, night.now, schedule, "anna")
    assert night.tick()
    assert night.runs() == [("two", "running", 10)]
    night.at(0, 22)
    assert night.notes() == ["followed", None], "the night takes over"
    night.now += timedelta(seconds=30)
    night.screen(batches=1, size=4)
    night.at(1, 6)
    with night.database.write() as session:
        count_what_ended(session, night.now + timedelta(minutes=5))
    assert [firing.screened for firing in night.firings()] == [0, 4], "each job counts for one firing"
    assert night.runs() == [("two", "paused", 10)]


def test_run_now_goes_on_with_what_a_person_paused(night: Night) -> None:
    schedule = night.add()
    night.at(0, 22)
    with night.database.write() as session:
        pause_run(session, night.now, night.run(), "anna")
    night.at(1, 6)
    with night.database.write() as session:
        run_now(session, night.now, schedule, "anna")
    assert night.tick()
    assert night.runs() == [("two", "running", 10)]


def test_a_paused_schedule_fires_nothing_and_does_not_make_up_for_it(night: Night) -> None:
    schedule = night.add()
    night.at(0, 22)
    with night.database.write() as session:
        pause_schedule(session, night.now, schedule, "anna")
    assert night.notes() == ["schedule_paused"]
    assert night.runs() == [("two", "paused", 10)]
    night.at(1, 22)
    assert len(night.firings()) == 1
    with night.database.write() as session:
        resume_schedule(session, night.now + timedelta(hours=1), schedule, "anna")
    assert not night.at(1, 23, 30)
    assert len(night.firings()) == 1
    assert night.at(2, 22)
    assert night.runs() == [("two", "running", 10)]


def test_a_deleted_schedule_is_gone_and_its_history_stays(night: Night) -> None:
    schedule = night.add()
    night.at(0, 22)
    with night.database.write() as session:
        delete_schedule(session, night.now, schedule, "anna")
    assert night.notes() == ["schedule_deleted"]
    with pytest.raises(NotFound), night.database.read() as session:
        get_schedule(session, schedule)
    assert not night.at(1, 22)
    assert len(night.firings()) == 1


def test_a_new_candidate_gets_a_new_run_and_the_former_one_is_ended(night: Night) -> None:
    night.add()
    night.at(0, 22)
    night.screen(batches=1)
    night.at(1, 6)
    with night.database.write() as session:
        nominate(session, night.now, "other", "anna")
    assert night.at(1, 22)
    assert night.runs() == [("two", "cancelled", 10), ("other", "running", 10)]
    assert night.predictions("two") == 4, "what was screened stays"


def test_without_a_candidate_it_says_so(night: Night) -> None:
    night.add()
    with night.database.write() as session:
        withdraw(session, night.now, "anna")
    assert not night.at(0, 22)
    assert night.notes() == ["no_candidate"]


def test_a_plan_that_cannot_work_is_refused(night: Night) -> None:
    for wrong in (
        {"name": " "},
        {"cron": "0 25 * * *"},
        {"time_zone": "Berlin"},
        {"window_end": "six"},
        {"most_scans": 0},
        {"selection": {"band": "normal"}},
        {"selection": {"colour": "blue"}},
        {"checkpoint": "nothing"},
    ):
        with pytest.raises(Refused):
            night.add(**wrong)


def test_a_changed_plan_counts_from_its_change(night: Night) -> None:
    schedule = night.add()
    night.now = MONDAY.replace(hour=21)
    with night.database.write() as session:
        change_schedule(session, night.now, schedule, Plan("new", "0 20 * * *", "UTC", "06:00", "one"), "anna")
    assert not night.at(0, 21, 30), "20:00 of today was before the change"
    assert not night.at(1, 20)
    assert night.notes() == ["nothing_to_do"], "`one` has screened all"


def test_every_note_has_words_and_every_deed_is_audited(night: Night) -> None:
    schedule = night.add()
    night.at(0, 22)
    night.at(1, 6)
    with night.database.write() as session:
        pause_schedule(session, night.now, schedule, "anna")
        resume_schedule(session, night.now, schedule, "anna")
        run_now(session, night.now, schedule, "anna")
        delete_schedule(session, night.now, schedule, "anna")
    with night.database.read() as session:
        events = session.execute(select(AuditEvent.actor, AuditEvent.action).order_by(AuditEvent.id)).all()
    found = [tuple(event) for event in events]
    for action in ("added", "paused", "resumed", "run_now", "deleted"):
        assert ("anna", f"schedule.{action}") in found
    assert (f"schedule {schedule}", "run.opened") in found
    assert (f"schedule {schedule}", "run.paused") in found
    assert set(night.notes()) <= set(NOTES)


def test_a_schedule_survives_an_actor_of_the_release_before(night: Night) -> None:
    """Who paused a run is not known of pauses written by an older process: such a run is left alone."""
    night.add()
    night.at(0, 22)
    night.at(1, 6)
    with night.database.write() as session:
        session.execute(update(Run).where(Run.id == night.run()).values(paused_by=None))
    night.at(1, 22)
    night.at(2, 6)
    assert night.notes()[-1] == "paused_by_person"
    with night.database.read() as session:
        assert session.scalars(select(Schedule.paused)).all() == [False]
        assert session.scalars(select(Job.state).where(Job.run_id == night.run())).all() == ["queued"] * 10
