"""Two nights with the real beat and real workers, time made to pass, and a kill -9 of both in each night."""

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from screening import checkpoints
from screening.clock import utc_now
from screening.database.schedule_tables import Firing
from screening.database.tables import Job, Prediction, Run
from screening.inference.bundle import Bundle
from screening.rescreening.candidates import nominate
from screening.rescreening.schedules import Plan, add_schedule
from tests.bundles import make_random_bundle
from tests.installation import Installation, installation, phantom_png, wait_until
from tests.turned_clock import VARIABLE, Clock

SCANS = 40
CANDIDATE_SIDE = 96


def screened(made: Installation, checkpoint: str) -> int:
    with made.system.database.read() as session:
        return session.scalar(select(func.count()).where(Prediction.checkpoint_id == checkpoint)) or 0


def night_run(made: Installation) -> tuple[int, str]:
    with made.system.database.read() as session:
        row = session.execute(select(Run.id, Run.state).order_by(Run.id.desc()).limit(1)).one()
        return row.id, row.state


@pytest.mark.timeout(600)
def test_two_nights_with_a_kill_in_each(
    tmp_path: Path, postgres_url: str, redis_url: str, random_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_file = tmp_path / "clock"
    clock = Clock(clock_file)
    monkeypatch.setenv(VARIABLE, str(clock_file))
    monkeypatch.setenv("SCREENING_TEST_SLOW_SIDE", str(CANDIDATE_SIDE))
    # The candidate sees larger renditions, so that the night begins with having them made from the originals.
    bundle = make_random_bundle(tmp_path / "candidate", side=CANDIDATE_SIDE, seed=7)
    with installation(tmp_path / "data", postgres_url, redis_url, random_bundle, batch_size=2, linger_ms=0) as made:
        made.app = "tests.integration.rescreening.unhurried_app"
        candidate, _ = checkpoints.register(
            made.system.database, made.system.storage, utc_now(), bundle, "fp32", "tests"
        )
        made.start_all()
        run = made.open_run()
        for seed in range(SCANS):
            made.upload(run, f"{seed}.png", phantom_png(seed))
        made.submit(run)
        made.wait_complete(run, 240)
        before = random_bundle.identity("fp32")
        assert screened(made, before) == SCANS

        day = utc_now().replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=1)
        clock.turn_to(day)
        with made.system.database.write() as session:
            nominate(session, clock.now(), candidate, "tests")
            add_schedule(session, clock.now(), Plan("nightly", "0 22 * * *", "UTC", "06:00"), "tests")
        clock.turn_to(day.replace(hour=21, minute=59, second=58))
        wait_until(lambda: screened(made, candidate) > 2, 120, "the first night has begun")
        made.kill_and_start_again("screen", "beat")
        mark = screened(made, candidate)
        wait_until(lambda: screened(made, candidate) > mark, 120, "the night goes on after the kill")
        clock.turn_to(day + timedelta(hours=18))
        wait_until(lambda: night_run(made)[1] == "paused", 60, "the window is over")
        wait_until(lambda: made.progress(night_run(made)[0]).screening == 0, 60, "work in hand is finished")
        mark = screened(made, candidate)
        assert mark < SCANS, "the night was too short for all of them"

        clock.turn_to(day + timedelta(hours=33, minutes=59, seconds=58))
        assert screened(made, candidate) == mark, "nothing is screened by day"
        wait_until(lambda: screened(made, candidate) > mark, 120, "the second night has begun")
        made.kill_and_start_again("screen", "beat")
        made.wait_complete(night_run(made)[0], 240)
        wait_until(lambda: len(ended(made)) == 2, 60, "the second firing is closed")

        assert ended(made) == ["window_over", "complete"]
        with made.system.database.read() as session:
            states = dict(
                session.execute(
                    select(Job.state, func.count()).where(Job.run_id == night_run(made)[0]).group_by(Job.state)
                ).all()
            )
            times = session.execute(
                select(Prediction.scan_id, func.count(), func.count(Prediction.checkpoint_id.distinct())).group_by(
                    Prediction.scan_id
                )
            ).all()
        assert states == {"screened": SCANS}
        assert [(row[1], row[2]) for row in times] == [(2, 2)] * SCANS, "each scan once for each checkpoint"
        made.app = "worker.app"


def ended(made: Installation) -> list[str | None]:
    with made.system.database.read() as session:
        return list(session.scalars(select(Firing.note).where(Firing.ended_at.is_not(None)).order_by(Firing.id)))
