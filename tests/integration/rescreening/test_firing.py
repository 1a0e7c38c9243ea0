"""Schedules under a clock that tests turn, on both databases: what fires, what is opened, paused and gone on with."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from screening import checkpoints
from screening.rescreening.beginning import begin
from screening.rescreening.candidates import nominate
from screening.rescreening.firing import record_due, tick
from screening.rescreening.schedules import (
    get_schedule,
    preview,
)
from screening.runs.lifecycle import pause_run
from screening.upkeep.capacity import oldest_waiting_s
from tests.integration.ledger.steps import NOW, add_run, prepare_all, states
from tests.integration.rescreening.conftest import MONDAY, Night


def test_a_night_is_opened_paused_at_its_end_and_gone_on_with(night: Night) -> None:
    night.add()
    assert not night.at(0, 21, 59)
    assert night.firings() == []
    assert night.at(0, 22)
    assert night.runs() == [("two", "running", 10)]
    assert night.screen(batches=1) == 4
    assert not night.at(1, 5, 59)
    assert night.runs() == [("two", "running", 10)]
    night.at(1, 6)
    assert night.runs() == [("two", "paused", 10)]
    assert night.notes() == ["window_over"]
    assert night.screen() == 0, "nothing is claimed between the windows"
    assert night.at(1, 22)
    assert night.runs() == [("two", "running", 10)], "the same run goes on"
    assert night.screen() == 6
    night.at(1, 23)
    assert night.notes() == ["window_over", "complete"]
    assert (night.predictions("one"), night.predictions("two")) == (10, 10)
    night.at(2, 22)
    assert night.notes()[-1] == "nothing_to_do"
    assert len(night.runs()) == 1, "a run without jobs is not kept"
    add_run(night.database, 3, first=50)
    prepare_all(night.database)
    night.screen()
    night.at(3, 22)
    assert night.runs()[-1] == ("two", "running", 3), "only what is new"


def test_a_candidate_that_is_put_to_use_goes_on_with_its_night_until_it_is_complete(night: Night) -> None:
    night.add()
    night.at(0, 22)
    night.screen(batches=1)
    night.at(1, 6)
    with night.database.write() as session:
        checkpoints.activate(session, night.now, "two", "anna")
    assert night.at(1, 22), "nothing is the candidate, and the night goes on"
    assert night.runs() == [("two", "running", 10)]
    night.screen(batches=1)
    night.at(2, 6)
    with night.database.write() as session:
        nominate(session, night.now, "other", "anna")
    assert night.at(2, 22)
    assert night.runs() == [("two", "running", 10)], "the checkpoint in use comes before the next candidate"
    assert night.screen() == 2
    night.at(2, 23)
    assert night.notes() == ["window_over", "window_over", "complete"]
    night.at(3, 22)
    assert night.runs() == [("two", "complete", 10), ("other", "running", 10)]


def test_a_night_of_the_checkpoint_in_use_that_a_person_paused_holds_up_no_candidate(night: Night) -> None:
    night.add()
    night.at(0, 22)
    with night.database.write() as session:
        pause_run(session, night.now, night.run(), "anna")
        checkpoints.activate(session, night.now, "two", "anna")
    night.at(1, 6)
    night.at(1, 22)
    assert (night.firings()[-1].run_id, night.notes()[-1]) == (night.firings()[0].run_id, None)
    night.at(2, 6)
    assert night.notes()[-1] == "paused_by_person"
    with night.database.write() as session:
        nominate(session, night.now, "other", "anna")
    assert night.at(2, 22)
    assert night.runs() == [("two", "paused", 10), ("other", "running", 10)]


def test_each_night_counts_what_ended_in_it_and_what_was_in_hand_at_its_end(night: Night) -> None:
    night.add()
    night.at(0, 22)
    night.screen(batches=1)
    night.at(1, 6)
    assert [firing.screened for firing in night.firings()] == [None]
    night.at(1, 6, 3)
    night.at(1, 22)
    night.screen(batches=2)
    night.at(1, 23)
    night.at(1, 23, 3)
    counts = [(firing.note, firing.screened, firing.rejected, firing.failed) for firing in night.firings()]
    assert counts == [("window_over", 4, 0, 0), ("complete", 6, 0, 0)]


def test_a_paused_night_does_not_count_as_work_that_waits(night: Night) -> None:
    night.add()
    night.at(0, 22)
    night.now += timedelta(hours=1)
    with night.database.read() as session:
        assert oldest_waiting_s(session, night.now) == 3600
    night.at(1, 6)
    with night.database.read() as session:
        assert oldest_waiting_s(session, night.now) == 0
    add_run(night.database, 1, first=50)
    with night.database.read() as session:
        assert oldest_waiting_s(session, NOW + timedelta(seconds=7)) == 7


def test_what_is_in_hand_at_the_end_of_the_window_is_finished(night: Night) -> None:
    from screening.ledger.claiming import claim_batch
    from screening.ledger.lease import Lease
    from screening.ledger.recording import Outcome, record_batch

    night.add()
    night.at(0, 22)
    with night.database.write() as session:
        batch = claim_batch(session, Lease.new(night.now, 30), night.now, 4)
    assert batch is not None
    night.at(1, 6)
    outcomes = [Outcome(scan, 0.6, b"map") for scan in batch.scan_ids]
    with night.database.write() as session:
        assert record_batch(session, batch.lease, night.now, "two", outcomes, "test", "test") == 4
    assert states(night.database, night.run()) == {"queued": 6, "screened": 4}


def test_many_ticks_and_many_tickers_fire_once(night: Night) -> None:
    night.add()
    night.now = MONDAY.replace(hour=22, second=3)
    with ThreadPoolExecutor(4) as several:
        for done in [several.submit(tick, night.database, night.now) for _ in range(12)]:
            done.result()
    assert [(firing.scheduled_for, firing.late) for firing in night.firings()] == [(MONDAY.replace(hour=22), False)]
    assert night.runs() == [("two", "running", 10)]


def test_a_kill_between_firing_and_run_loses_nothing(night: Night) -> None:
    night.add()
    night.now = MONDAY.replace(hour=22)
    with night.database.write() as session:
        assert record_due(session, night.now) == 1
    # Killed here: the firing is recorded, its run is not open. Nobody knows when the next tick comes.
    assert night.runs() == []
    assert night.at(0, 23, 30)
    assert night.runs() == [("two", "running", 10)]
    assert len(night.firings()) == 1
    with night.database.write() as session:
        assert not begin(session, night.now, night.firings()[0].id)


def test_a_kill_while_the_run_is_being_opened_leaves_no_half_of_it(night: Night) -> None:
    night.add()
    night.now = MONDAY.replace(hour=22)
    with night.database.write() as session:
        record_due(session, night.now)
    with pytest.raises(KeyboardInterrupt), night.database.write() as session:
        begin(session, night.now, night.firings()[0].id)
        raise KeyboardInterrupt
    assert night.runs() == []
    assert night.tick()
    assert night.runs() == [("two", "running", 10)]


def test_missed_firings_are_caught_up_once_while_the_window_is_open(night: Night) -> None:
    night.add()
    # Off from Monday noon until Friday, three in the morning: four firings were due, the last one's window is open.
    assert night.at(4, 3)
    assert [(firing.late, firing.note) for firing in night.firings()] == [(True, None)]
    assert night.firings()[0].scheduled_for == MONDAY.replace(hour=22) + timedelta(days=3)
    assert night.runs() == [("two", "running", 10)]


def test_missed_firings_are_noted_once_when_the_window_is_over(night: Night) -> None:
    night.add()
    assert not night.at(4, 12)
    assert not night.at(4, 13)
    assert night.notes() == ["missed"]
    assert night.runs() == []
    assert night.at(4, 22)


def test_a_firing_that_was_recorded_and_then_missed_its_window_does_nothing(night: Night) -> None:
    night.add()
    with night.database.write() as session:
        record_due(session, MONDAY.replace(hour=22))
    night.at(1, 12)
    assert night.notes() == ["missed"]
    assert night.runs() == []


def test_a_clock_that_is_set_back_fires_nothing_twice(night: Night) -> None:
    night.add()
    night.at(0, 22, 10)
    night.screen()
    for hour, minute in ((21, 50), (22, 0), (22, 5)):
        night.at(0, hour, minute)
    assert len(night.firings()) == 1
    assert len(night.runs()) == 1


def test_after_a_clock_that_ran_weeks_ahead_the_next_night_fires(night: Night) -> None:
    night.add()
    night.at(60, 22)
    assert night.runs() == [("two", "running", 10)]
    night.at(0, 13)
    assert night.notes() == ["clock_set_back"]
    assert night.runs() == [("two", "paused", 10)]
    assert night.at(0, 22)
    assert night.runs() == [("two", "running", 10)]


@pytest.mark.parametrize(("cron", "zone"), [("30 2 * * *", "Europe/Berlin"), ("0 22 L * *", "UTC")])
def test_ten_weeks_of_ticks_fire_as_the_preview_said(night: Night, cron: str, zone: str) -> None:
    night.now = MONDAY
    schedule = night.add(cron=cron, time_zone=zone)
    with night.database.read() as session:
        promised = [start for start, _ in preview(get_schedule(session, schedule), MONDAY, 40)]
    end = MONDAY + timedelta(weeks=5)
    while night.now < end:
        night.now += timedelta(hours=1)
        night.tick()
    assert [firing.scheduled_for for firing in night.firings()] == [moment for moment in promised if moment <= end]
