"""The screen worker's inside, in this process: failing engines, storage that is away, refused checkpoints."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select, update

import worker.batches
import worker.engines
import worker.screen
from screening.database.tables import Job, Prediction
from screening.inference.bundle import Bundle, BundleError
from screening.inference.engine import NotFiniteError, OutOfDeviceMemory
from screening.ledger.recording import record_batch
from screening.ledger.sweeping import sweep
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.rendition_file import load_rendition
from screening.storage import Storage, StorageError, rendition_key
from tests.installation import Installation, installation, phantom_png, wait_until
from tests.integration.workers_within import prepare_all, screen_all, screener_with
from worker.prepare import Preparer
from worker.screen import Screener


@pytest.fixture
def prepared(tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    """Sixteen prepared scans, queued."""
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle, batch_size=16) as made:
        run = made.open_run()
        for seed in range(16):
            made.upload(run, f"{seed}.png", phantom_png(seed))
        made.submit(run)
        prepare_all(made)
        yield made


def states(made: Installation) -> dict[str, int]:
    with made.system.database.read() as session:
        return dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())


def test_batches_are_as_large_as_was_measured_for_the_device(
    tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle, batch_size=0) as made:
        screener, engine = screener_with(monkeypatch, made, lambda _: None)
        monkeypatch.setattr(worker.engines, "batch_size_of", lambda measured, _: 64 if measured is engine else 0)
        assert screener.details()["batch_size"] == worker.engines.BATCH_SIZE_UNTIL_MEASURED
        screener.warm_up()
        assert screener.details()["batch_size"] == 64
        screener.close()


def test_a_batch_goes_through_with_maps_and_provenance(prepared: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    screener, engine = screener_with(monkeypatch, prepared, lambda _: None)
    screen_all(screener)
    assert engine.batches == [16]
    assert states(prepared) == {"screened": 16}
    with prepared.system.database.read() as session:
        prediction = session.scalars(select(Prediction)).first()
    assert prediction is not None
    assert (prediction.engine, prediction.worker) == ("brightness fp32", "screen@test")
    details = screener.details()
    assert details["batch_fill"] == 1.0
    stages = details["stages"]
    assert isinstance(stages, dict)
    assert {name: stage["scans"] for name, stage in stages.items()} == dict.fromkeys(
        ("claim", "load", "infer", "record"), 16
    )


def test_an_urgent_scan_overtakes_the_batch_that_is_loaded_already(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    def meanwhile(_batch: NDArray[np.uint8]) -> None:
        if len(engine.batches) > 1:
            return
        wait_until(lambda: states(prepared).get("screening") == 16, 10, "the second batch is claimed ahead")
        urgent = prepared.open_run(lane="urgent")
        prepared.upload(urgent, "urgent.png", phantom_png(100))
        prepared.submit(urgent)
        prepare_all(prepared)

    screener, engine = screener_with(monkeypatch, prepared, meanwhile)
    monkeypatch.setattr(type(screener._batches), "size", 8)
    screen_all(screener)
    assert engine.batches == [8, 1, 8]
    assert states(prepared) == {"screened": 17}


def test_a_scan_without_an_answer_fails_alone(prepared: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_number(batch: NDArray[np.uint8]) -> None:
        if len(batch) == 16:
            raise NotFiniteError([3])

    screener, engine = screener_with(monkeypatch, prepared, no_number)
    screen_all(screener)
    assert engine.batches == [16, 15]
    assert states(prepared) == {"screened": 15, "failed": 1}


def test_a_scan_that_breaks_its_batch_is_found_and_set_aside(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = phantom_brightness(prepared)

    def trouble(batch: NDArray[np.uint8]) -> None:
        if any(int(picture.sum()) == poison for picture in batch):
            raise RuntimeError("the device gave up")

    screener, engine = screener_with(monkeypatch, prepared, trouble)
    screen_all(screener)
    assert states(prepared) == {"screened": 15, "failed": 1}
    assert engine.batches[0] == 16
    with prepared.system.database.read() as session:
        failed = session.scalars(select(Job).where(Job.state == "failed")).one()
    assert failed.problem_code == "set_aside"


def test_what_was_tried_before_is_never_in_flight_beside_other_scans(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a scan that ends its worker would use up the attempts of its neighbours, too."""
    with prepared.system.database.write() as session:
        tried = session.scalars(select(Job.id).order_by(Job.id.desc()).limit(8)).all()
        session.execute(update(Job).where(Job.id.in_(tried)).values(attempts=1))
    in_flight: list[int] = []

    def look(_batch: NDArray[np.uint8]) -> None:
        time.sleep(0.2)
        in_flight.append(states(prepared).get("screening", 0))

    def slowly(*arguments: Any, **named: Any) -> int:
        time.sleep(0.4)
        return record_batch(*arguments, **named)

    monkeypatch.setattr(worker.screen, "record_batch", slowly)
    screener, engine = screener_with(monkeypatch, prepared, look)
    screener.screen_slice(lambda: False)
    screener.close()
    assert engine.batches == [8, 4, 4]
    assert in_flight == [8, 4, 4]
    assert states(prepared) == {"screened": 16}


class SmallDevice:
    """Trouble of a device on which so many scans fit at a time and no more."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, batch: NDArray[np.uint8]) -> None:
        if len(batch) > self.room:
            raise OutOfDeviceMemory(f"CUDA out of memory: {len(batch)}")


def test_a_batch_that_does_not_fit_is_halved_and_batches_stay_small_for_a_while(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    screener, engine = screener_with(monkeypatch, prepared, SmallDevice(5))
    screener.screen_slice(lambda: False)
    assert engine.batches == [16, 8, 4, 4, 4, 4]
    assert states(prepared) == {"screened": 16}
    with prepared.system.database.read() as session:
        assert set(session.scalars(select(Job.attempts))) == {1}, "the machine is to blame, and no scan"
    assert screener.details()["batch_size"] == 4

    run = prepared.open_run()
    for seed in range(20, 26):
        prepared.upload(run, f"{seed}.png", phantom_png(seed))
    preparer = Preparer(prepared.system, DecodeLimits(), children=1)
    preparer.prepare_slice(lambda: False)
    preparer.close()
    engine.batches.clear()
    screen_all(screener)
    assert engine.batches == [4, 2]
    monkeypatch.setattr(worker.batches, "SMALLER_FOR_S", 0.0)
    screener._batches.keep_to(4)
    assert screener.details()["batch_size"] == 16, "larger batches are tried again after a while"


def test_a_device_without_room_for_one_scan_is_no_scans_fault(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    screener, engine = screener_with(monkeypatch, prepared, SmallDevice(0))
    assert screener.screen_slice(lambda: False) is True
    assert engine.batches[:5] == [16, 8, 4, 2, 1]
    assert "out of memory" in str(screener.details()["refused"])
    assert screener.screen_slice(lambda: False) is False, "it is left to other workers for a while"
    screener.close()
    assert states(prepared) == {"queued": 16}
    with prepared.system.database.read() as session:
        assert set(session.scalars(select(Job.attempts))) == {0}


def phantom_brightness(made: Installation) -> int:
    """The sum of grey values of one prepared rendition, by which a test recognises it in a batch."""
    with made.system.database.read() as session:
        scan = session.scalars(select(Job.scan_id)).first()
    spec = next(iter((made.folder / "objects" / "renditions").iterdir())).name
    return int(load_rendition(made.system.storage.get(rendition_key(str(scan), spec))).sum())


def test_a_stop_finishes_the_batch_in_hand(prepared: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    screener, _ = screener_with(monkeypatch, prepared, lambda _: None)
    assert screener.screen_slice(lambda: True) is True
    screener.close()
    assert states(prepared) == {"screened": 16}, "the batch in hand is finished"


class Unreachable:
    """Storage that does not answer."""

    def __init__(self, real: Storage) -> None:
        self._real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def get(self, key: str) -> bytes:
        raise StorageError("the bucket cannot be reached")


def test_storage_that_is_away_costs_no_attempt(prepared: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    screener, _ = screener_with(monkeypatch, prepared, lambda _: None)
    screener.warm_up()
    away = Screener(replace(prepared.system, storage=Unreachable(prepared.system.storage)), "away", 1)  # type: ignore[arg-type]
    away._engines = screener._engines
    assert away.screen_slice(lambda: False) is False
    away.close()
    screener.close()
    assert states(prepared) == {"queued": 16}
    with prepared.system.database.read() as session:
        assert set(session.scalars(select(Job.attempts))) == {0}


def test_a_checkpoint_that_fails_its_self_check_is_not_served(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    screener, engine = screener_with(monkeypatch, prepared, lambda _: None)

    def refuse(*_: object) -> None:
        raise BundleError("golden tensors differ by 0.3")

    monkeypatch.setattr(worker.engines, "check_against_golden", refuse)
    assert screener.screen_slice(lambda: False) is False
    screener.close()
    assert engine.batches == []
    assert states(prepared) == {"queued": 16}
    with prepared.system.database.write() as session:
        assert sweep(session, prepared.system.clock(), 5).jobs == 0
