"""Objects that cannot be read, and storage that is away: who is to blame, who waits, and who goes on meanwhile."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest
from sqlalchemy import func, select

from screening.checkpoints import active
from screening.clock import utc_now
from screening.database.states import Lane
from screening.database.tables import Job, Rendition, Scan
from screening.inference.bundle import Bundle
from screening.ledger import sweeping
from screening.ledger.lease import Lease
from screening.ledger.preparing import claim_renditions
from screening.ledger.sweeping import sweep
from screening.queue import QueueName, Waker
from screening.radiographs.limits import DecodeLimits
from screening.storage import StorageError, StorageFull, checkpoint_key, display_key, original_key, rendition_key
from tests.installation import Installation, installation, phantom_png
from tests.integration.troubled_storage import prepare_with, troubled
from tests.integration.workers_within import prepare_all, screen_all, screener_with
from worker.prepare import Preparer
from worker.screen import Screener

MOST_ATTEMPTS = 3


@pytest.fixture
def made(tmp_path: Path, database_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    with installation(tmp_path / "data", database_url, redis_url, random_bundle, max_attempts=MOST_ATTEMPTS) as opened:
        yield opened


def sent(made: Installation, seeds: range, lane: str = "routine") -> int:
    """A submitted run of these pictures, none of them prepared."""
    run = made.open_run(lane=lane)
    for seed in seeds:
        made.upload(run, f"{seed}.png", phantom_png(seed))
    made.submit(run)
    return run


def states(made: Installation, run: int | None = None) -> dict[str, int]:
    with made.system.database.read() as session:
        chosen = select(Job.state, func.count()).group_by(Job.state)
        return dict(session.execute(chosen.where(Job.run_id == run) if run else chosen).all())


def attempts(made: Installation) -> set[int]:
    with made.system.database.read() as session:
        return set(session.scalars(select(Rendition.attempts)))


def sha256_of(made: Installation, name: str) -> str:
    with made.system.database.read() as session:
        return session.scalars(select(Scan.sha256).where(Scan.file_name == name)).one()


def spoil(made: Installation, key: str) -> Path:
    """Have an object answer with an error that is not 'not found', as one on a bad sector does."""
    path = made.folder / "objects" / key
    path.unlink()
    path.symlink_to(path.name)
    return path


def when_leases_have_ended(made: Installation) -> None:
    with made.system.database.write() as session:
        sweep(session, utc_now() + timedelta(minutes=2), MOST_ATTEMPTS)


def test_an_original_that_cannot_be_read_is_alone_in_that_and_set_aside_in_the_end(made: Installation) -> None:
    run = sent(made, range(8))
    path = spoil(made, original_key(sha256_of(made, "0.png")))
    prepare_all(made)
    assert states(made) == {"queued": 7, "preparing": 1}, "its neighbours are prepared"
    urgent = sent(made, range(20, 21), "urgent")
    prepare_all(made)
    assert states(made, urgent) == {"queued": 1}
    for _ in range(MOST_ATTEMPTS - 1):
        prepare_all(made)
        assert states(made, run)["preparing"] == 1, "some time goes by before it is tried again"
        when_leases_have_ended(made)
        prepare_all(made)
    assert states(made, run) == {"queued": 7, "rejected": 1}
    with made.system.database.read() as session:
        job = session.scalars(select(Job).where(Job.state == "rejected")).one()
    assert (job.file_name, job.problem_code) == ("0.png", "set_aside")
    assert f"could not be read from storage in {MOST_ATTEMPTS} tries" in str(job.problem)
    assert "send the file again" in str(job.problem)

    path.unlink()
    again = sent(made, range(1))
    prepare_all(made)
    assert states(made, again) == {"queued": 1}, "once the storage is mended, the file that is sent again is taken"


def test_the_only_original_of_all_is_judged_too(made: Installation) -> None:
    run = sent(made, range(1))
    spoil(made, original_key(sha256_of(made, "0.png")))
    for _ in range(MOST_ATTEMPTS):
        prepare_all(made)
        when_leases_have_ended(made)
    assert states(made, run) == {"rejected": 1}
    assert made.state(run) == "complete"


def test_storage_that_goes_away_costs_no_attempt_and_what_is_prepared_stays(made: Installation) -> None:
    sent(made, range(8))
    last = original_key(sha256_of(made, "7.png"))
    gone = [False]

    def goes_away(_call: str, key: str) -> StorageError | None:
        gone[0] |= key == last
        return StorageError("the bucket cannot be reached") if gone[0] else None

    system = troubled(made, goes_away)
    assert prepare_with(system, 4)[-1] is False, "the sweep asks again, in its time"
    assert attempts(made) <= {0, 1}
    with made.system.database.read() as session:
        of = dict(
            session.execute(select(Rendition.state, func.max(Rendition.attempts)).group_by(Rendition.state)).all()
        )
    assert of == {"waiting": 0, "ready": 1}
    prepare_all(made)
    assert states(made) == {"queued": 8}


@pytest.mark.parametrize("error", [StorageError("EACCES"), StorageFull("ENOSPC")])
def test_a_part_of_storage_that_fails_as_a_whole_is_waited_for(made: Installation, error: StorageError) -> None:
    sent(made, range(4))
    system = troubled(made, lambda call, key: error if call == "get" and key.startswith("originals/") else None)
    assert prepare_with(system, 5) == [False] * 5
    assert attempts(made) == {0}
    prepare_all(made)
    assert states(made) == {"queued": 4}


def test_pictures_that_cannot_be_stored_are_no_scans_fault(made: Installation) -> None:
    sent(made, range(4))
    system = troubled(made, lambda call, key: StorageError("EACCES") if key.startswith("displays/") else None)
    for _ in range(MOST_ATTEMPTS + 1):
        assert prepare_with(system) == [False]
        assert states(made) == {"preparing": 4}
        assert attempts(made) == {0}
        when_leases_have_ended(made)
    prepare_all(made)
    assert states(made) == {"queued": 4}


def test_an_urgent_scan_whose_picture_cannot_be_stored_holds_up_no_other_lane(made: Installation) -> None:
    urgent, routine = sent(made, range(1), "urgent"), sent(made, range(10, 13))
    bad = display_key(sha256_of(made, "0.png")[:32])
    system = troubled(made, lambda call, key: StorageError("EACCES") if (call, key) == ("put", bad) else None)
    assert prepare_with(system) == [False]
    assert states(made, routine) == {"queued": 3}
    for seed in range(20, 20 + MOST_ATTEMPTS):
        when_leases_have_ended(made)
        later = sent(made, range(seed, seed + 1), "archive")
        assert prepare_with(system) == [False]
        assert states(made, urgent) == {"preparing": 1}, "it is never given up"
        assert states(made, later) == {"queued": 1}
    when_leases_have_ended(made)
    prepare_all(made)
    assert states(made, urgent) == {"queued": 1}


def test_a_hindered_scan_goes_on_in_the_lane_of_who_asked_for_it_meanwhile(made: Installation) -> None:
    sent(made, range(1), "archive")
    system = troubled(made, lambda call, key: StorageError("EACCES") if key.startswith("displays/") else None)
    prepare_with(system)
    sent(made, range(1), "urgent")
    when_leases_have_ended(made)
    with made.system.database.read() as session:
        assert session.execute(select(Rendition.state, Rendition.lane)).one() == ("waiting", Lane.URGENT)


def test_of_many_hindered_scans_a_sweep_takes_a_few_back_and_first_what_a_dead_worker_left(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "RENDITIONS_AT_ONCE", 3)
    sent(made, range(8), "urgent")
    prepare_with(troubled(made, lambda call, key: StorageError("EACCES") if key.startswith("displays/") else None))
    sent(made, range(10, 11), "archive")
    with made.system.database.write() as session:
        now = utc_now() + timedelta(minutes=1)
        assert len(claim_renditions(session, Lease.new(now, 30), now, 8)) == 1
    when_leases_have_ended(made)
    with made.system.database.read() as session:
        waiting = session.scalars(select(Rendition.lane).where(Rendition.state == "waiting")).all()
    assert sorted(waiting) == [Lane.URGENT, Lane.URGENT, Lane.ARCHIVE]
    for _ in range(2):
        when_leases_have_ended(made)
    prepare_all(made)
    assert states(made) == {"queued": 9}


def test_workers_that_find_storage_away_do_not_wake_each_other_again_and_again(made: Installation) -> None:
    sent(made, range(4))

    class Listening:
        def __init__(self) -> None:
            self.heard: list[QueueName] = []

        def wake(self, *queues: QueueName) -> None:
            self.heard.extend(queues)

    waker = Listening()
    system = troubled(made, lambda *_: StorageError("the bucket cannot be reached"))
    preparer = Preparer(replace(system, waker=cast(Waker, waker)), DecodeLimits(), children=2)
    preparer.prepare_slice(lambda: False)
    assert QueueName.PREPARE in waker.heard, "more than one group waits"
    waker.heard.clear()
    preparer.prepare_slice(lambda: False)
    preparer.close()
    assert QueueName.PREPARE not in waker.heard


def test_a_rendition_that_cannot_be_read_is_made_again(
    made: Installation, monkeypatch: pytest.MonkeyPatch, random_bundle: Bundle
) -> None:
    sent(made, range(8))
    prepare_all(made)
    with made.system.database.read() as session:
        first = session.scalars(select(Job.scan_id).order_by(Job.id)).first()
    path = spoil(made, rendition_key(str(first), random_bundle.rendition.hash))
    screener, engine = screener_with(monkeypatch, made, lambda _: None)
    screener.screen_slice(lambda: False)
    assert states(made) == {"screened": 7, "preparing": 1}, "its neighbours are screened"
    prepare_all(made)
    assert path.is_file() and not path.is_symlink()
    screen_all(screener)
    assert states(made) == {"screened": 8}
    assert engine.batches == [7, 1]


def test_the_only_rendition_of_all_that_cannot_be_read_is_made_again(
    made: Installation, monkeypatch: pytest.MonkeyPatch, random_bundle: Bundle
) -> None:
    sent(made, range(1))
    prepare_all(made)
    spoil(made, rendition_key(sha256_of(made, "0.png")[:32], random_bundle.rendition.hash))
    screener, _ = screener_with(monkeypatch, made, lambda _: None)
    assert not screener.screen_slice(lambda: False)
    prepare_all(made)
    screen_all(screener)
    assert states(made) == {"screened": 1}


def test_renditions_that_all_cannot_be_read_are_no_scans_fault(
    made: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder without rights, say: made again, none of them could be read either."""
    sent(made, range(12))
    prepare_all(made)
    screener, engine = screener_with(monkeypatch, made, lambda _: None)
    screener.warm_up()
    no_rights = Screener(
        troubled(made, lambda _, key: StorageError("EACCES") if key.startswith("renditions/") else None), "test", 1
    )
    no_rights._engines = screener._engines
    for _ in range(3):
        assert no_rights.screen_slice(lambda: False) is False
    no_rights.close()
    assert states(made) == {"queued": 12}
    screen_all(screener)
    assert states(made) == {"screened": 12}
    assert sum(engine.batches) == 12
    with made.system.database.read() as session:
        assert set(session.scalars(select(Job.attempts))) == {1}


def test_a_checkpoint_whose_files_cannot_be_read_is_refused_with_the_reason(made: Installation) -> None:
    sent(made, range(2))
    prepare_all(made)
    with made.system.database.read() as session:
        checkpoint = active(session).id
    spoil(made, checkpoint_key(checkpoint, "model.safetensors"))
    screener = Screener(made.system, "screen@test", 1)
    assert screener.screen_slice(lambda: False) is False
    screener.close()
    refused = screener.details()["refused"]
    assert isinstance(refused, dict)
    assert "cannot be read from storage" in refused[checkpoint]
    assert states(made) == {"queued": 2}
