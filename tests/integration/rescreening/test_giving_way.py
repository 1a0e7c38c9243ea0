"""An urgent scan that comes while the archive is screened: it waits for two batches at most, and no job is lost."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select

from screening import checkpoints
from screening.clock import utc_now
from screening.database.tables import Job, Prediction, Run
from screening.inference.bundle import Bundle
from screening.rescreening.opening import open_over_archive
from screening.rescreening.selection import Selection
from tests.bundles import make_random_bundle
from tests.installation import installation, phantom_png
from tests.integration.workers_within import prepare_all, screen_all, screener_with

SCANS = 40
BATCH = 4


def test_an_urgent_scan_waits_for_two_batches_at_most(
    tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_random_bundle(tmp_path / "other", side=64, seed=3)
    with installation(
        tmp_path / "data", sqlite_url, redis_url, random_bundle, batch_size=BATCH, linger_ms=0, slice_s=30, lease_s=60
    ) as made:
        run = made.open_run()
        for seed in range(SCANS):
            made.upload(run, f"{seed}.png", phantom_png(seed))
        made.submit(run)
        prepare_all(made)
        screener, _ = screener_with(monkeypatch, made, lambda _: None)
        screen_all(screener)
        candidate, _ = checkpoints.register(made.system.database, made.system.storage, utc_now(), other, "fp32", "t")
        with made.system.database.write() as session:
            chosen = checkpoints.get(session, candidate)
            opened = open_over_archive(session, utc_now(), "night", chosen, Selection(), None, "schedule 1")
        assert opened is not None
        before_urgent: list[int] = []

        def arrive(_: NDArray[np.uint8]) -> None:
            """In the middle of the third batch of the night an urgent scan is sent and prepared."""
            if len(engine.batches) == 3:
                urgent = made.open_run("urgent", "urgent")
                made.upload(urgent, "urgent.png", phantom_png(999))
                made.submit(urgent)
                prepare_all(made)
                before_urgent.append(len(engine.batches))

        screener, engine = screener_with(monkeypatch, made, arrive)
        screen_all(screener)
        with made.system.database.read() as session:
            urgent_id = session.scalar(
                select(Prediction.id)
                .join(Job, Job.scan_id == Prediction.scan_id)
                .join(Run, Run.id == Job.run_id)
                .where(Run.name == "urgent")
            )
            first = session.scalar(select(func.min(Prediction.id)).where(Prediction.checkpoint_id == candidate))
            assert urgent_id is not None
            assert first is not None
            ahead = session.scalar(
                select(func.count()).where(Prediction.checkpoint_id == candidate, Prediction.id < urgent_id)
            )
            states = dict(
                session.execute(
                    select(Job.state, func.count()).where(Job.run_id == opened.run_id).group_by(Job.state)
                ).all()
            )
        # Two batches were done and the third was in the engine; at most one more was claimed ahead of it.
        assert before_urgent == [3]
        assert ahead is not None
        assert ahead <= (3 + 1) * BATCH
        assert states == {"screened": SCANS}, "no job of the archive is lost"
