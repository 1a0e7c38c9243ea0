"""The short form of `make fuzz`: a few hundred damaged files, to the decoder and through a whole installation."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from screening.database.states import UNFINISHED
from screening.database.tables import Container, Job, Receipt
from screening.inference.bundle import Bundle
from screening.radiographs.sniff import sniff, why_refused
from tests.bundles import make_random_bundle
from tests.fuzz.files import damaged, generated, seeds
from tests.fuzz.judging import CONTAINER_LIMITS, LIMITS, Judge
from tests.installation import installation
from worker.prepare import Preparer
from worker.unpack import Unpacking

FILES = 250


@pytest.mark.timeout(600)
def test_damaged_files_are_answered_within_the_limits() -> None:
    judge, rng, good = Judge(), Random(20261125), seeds()
    for _ in range(FILES):
        judge.judge(damaged(good, rng))
    judge.still_works()
    judge.close()
    assert judge.wrong == []
    assert judge.answers["prepared"] > 0, judge.answers
    assert len(judge.answers) >= 4, judge.answers


@pytest.mark.timeout(600)
def test_every_damaged_file_gets_a_receipt_and_comes_to_an_end(tmp_path: Path, sqlite_url: str, redis_url: str) -> None:
    rng, good = Random(7), generated()
    bundle: Bundle = make_random_bundle(tmp_path / "bundle", side=64)
    with installation(tmp_path / "data", sqlite_url, redis_url, bundle) as made:
        run = made.open_run()
        for number in range(80):
            made.upload(run, f"{number}", damaged(good, rng))
        made.submit(run)
        preparer = Preparer(made.system, LIMITS, children=1)
        unpacking = Unpacking(made.system, CONTAINER_LIMITS, preparer.prepare_slice)
        while unpacking.unpack_slice(lambda: False) or preparer.prepare_slice(lambda: False):
            pass
        preparer.close()
        with made.system.database.read() as session:
            sent = session.scalar(select(func.count()).where(Receipt.container_id.is_(None)))
            unpacked = set(session.scalars(select(Container.state)))
            left = dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())
            unexplained = session.scalars(select(Job).where(Job.state == "rejected", Job.problem.is_(None))).all()
    assert sent == 80
    assert unpacked <= {"ready", "rejected"}
    assert set(left) - {"queued"} <= {"rejected"}, "a file is rejected, or its rendition waits for the engine"
    assert set(left) & set(UNFINISHED) <= {"queued"}
    assert unexplained == []


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None)
@given(st.binary(max_size=4096))
@example(b"")
def test_any_bytes_are_told_apart(head: bytes) -> None:
    kind, refusal = sniff(head), why_refused(head)
    assert kind is not None or refusal is not None
    assert refusal is None or refusal.sentence.endswith(".")
