"""What a changed plan of a schedule means for the run that is under way or paused."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import null, update

from screening.database.schedule_tables import Firing
from screening.rescreening.schedules import Plan, change_schedule, what_holds
from screening.runs.lifecycle import pause_run
from tests.integration.rescreening.conftest import Night


def test_a_changed_selection_holds_from_the_next_firing_on(night: Night) -> None:
    schedule = night.add()
    night.at(0, 22)
    night.screen(batches=1)
    night.at(1, 6)
    plan = Plan("nightly", "0 22 * * *", "UTC", "06:00", selection={"max_age_days": 30}, most_scans=5)
    with night.database.write() as session:
        changed = change_schedule(session, night.now, schedule, plan, "anna")
        assert what_holds(session, changed) == " Run 2 is paused; the next firing ends it and opens another."
    assert night.at(1, 22)
    assert night.runs() == [("two", "cancelled", 10), ("two", "running", 5)]
    assert night.predictions("two") == 4
    with night.database.write() as session:
        renamed = change_schedule(session, night.now, schedule, replace(plan, name="weekly"), "anna")
        assert "the next firing goes on with it" in what_holds(session, renamed)
    night.at(2, 6)
    assert night.at(2, 22)
    assert night.runs() == [("two", "cancelled", 10), ("two", "running", 5)], "a name selects nothing"


def test_a_changed_selection_leaves_alone_what_a_person_paused(night: Night) -> None:
    schedule = night.add()
    night.at(0, 22)
    with night.database.write() as session:
        pause_run(session, night.now, night.run(), "anna")
        plan = Plan("nightly", "0 22 * * *", "UTC", "06:00", most_scans=5)
        renamed = change_schedule(session, night.now, schedule, replace(plan, name="new", most_scans=None), "anna")
        assert what_holds(session, renamed).endswith("until a person resumes it; the next firing leaves it alone.")
        holds = what_holds(session, change_schedule(session, night.now, schedule, plan, "anna"))
    assert holds.endswith("stays paused until a person resumes it; the next firing opens another.")
    night.at(1, 6)
    assert night.at(1, 22)
    assert night.runs() == [("two", "paused", 10), ("two", "running", 5)]


def test_a_changed_end_of_the_window_holds_at_once(night: Night) -> None:
    schedule = night.add()
    night.at(0, 22)
    night.now += timedelta(hours=1)
    with night.database.write() as session:
        changed = change_schedule(session, night.now, schedule, Plan("nightly", "0 22 * * *", "UTC", "02:00"), "anna")
        assert "until 02:00 (UTC)" in what_holds(session, changed)
    night.at(1, 2)
    assert night.notes() == ["window_over"]
    assert night.runs() == [("two", "paused", 10)]


def test_a_run_of_the_release_before_goes_on_whatever_its_plan_was(night: Night) -> None:
    schedule = night.add()
    night.at(0, 22)
    night.at(1, 6)
    with night.database.write() as session:
        session.execute(update(Firing).values(plan=null()))
        change_schedule(session, night.now, schedule, Plan("n", "0 22 * * *", "UTC", "06:00", most_scans=5), "anna")
    assert night.at(1, 22)
    assert night.runs() == [("two", "running", 10)]
