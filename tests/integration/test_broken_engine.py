"""An engine that breaks while it is in use: no scan is condemned for it, and screening goes on with a new one."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import func, select

import worker.batches
import worker.engines
from screening.database.tables import Job
from screening.inference.bundle import Bundle
from screening.inference.engine import Engine, NotFiniteError, OutOfDeviceMemory
from screening.inference.selfcheck import SelfCheck
from tests.installation import Installation, installation, phantom_png
from tests.integration.workers_within import BrightnessEngine, prepare_all, screen_all, screener_with
from worker.process import WorkerProcess

SCANS = 20


@pytest.fixture
def prepared(tmp_path: Path, sqlite_url: str, redis_url: str, random_bundle: Bundle) -> Iterator[Installation]:
    with installation(tmp_path / "data", sqlite_url, redis_url, random_bundle) as made:
        run = made.open_run()
        for seed in range(SCANS):
            made.upload(run, f"{seed}.png", phantom_png(seed))
        made.submit(run)
        prepare_all(made)
        yield made


def states(made: Installation) -> dict[str, int]:
    with made.system.database.read() as session:
        return dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all())


def attempts(made: Installation) -> set[int]:
    with made.system.database.read() as session:
        return set(session.scalars(select(Job.attempts)))


def check_by_answering(engine: Engine, *_: object) -> SelfCheck:
    """The self-check of an engine whose golden tensors nobody knows: it must answer."""
    engine.predict(np.zeros((1, engine.side, engine.side), np.uint8))
    return SelfCheck(0.0, 0.0, 1)


class Breaks:
    """Trouble of an engine that answers so many batches, and then fails with this error until it is mended."""

    def __init__(self, error: Exception, after: int = 2) -> None:
        self.error = error
        self.left = after

    def __call__(self, _batch: NDArray[np.uint8]) -> None:
        if self.left <= 0:
            raise self.error
        self.left -= 1


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("CUDA error: unspecified launch failure"),
        RuntimeError("cuBLAS: out of memory"),
        NotFiniteError([0, 1]),
        OutOfDeviceMemory("CUDA out of memory"),
    ],
)
def test_an_engine_that_breaks_condemns_no_scan(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    breaks = Breaks(error)
    screener, engine = screener_with(monkeypatch, prepared, breaks)
    monkeypatch.setattr(worker.engines, "check_against_golden", check_by_answering)
    while screener.screen_slice(lambda: False):
        pass
    assert states(prepared) == {"screened": 8, "queued": SCANS - 8}
    assert attempts(prepared) <= {0, 1}
    refused = screener.details()["refused"]
    assert isinstance(refused, dict)
    assert str(error) in str(list(refused.values()))
    tried = len(engine.batches)
    for _ in range(5):
        assert screener.screen_slice(lambda: False) is False
    assert len(engine.batches) == tried, "it is left alone for a while"

    breaks.left = 100
    monkeypatch.setattr(worker.batches, "REFUSED_FOR_S", 0.0)
    screen_all(screener)
    assert states(prepared) == {"screened": SCANS}
    assert attempts(prepared) == {1}


def test_after_the_pause_the_engine_is_opened_anew(prepared: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    breaking = Breaks(RuntimeError("the plugin gave up"), after=3)
    screener, broken = screener_with(monkeypatch, prepared, breaking)
    engines = iter((broken, BrightnessEngine(64, lambda _: None)))
    monkeypatch.setattr(worker.engines, "open_engine", lambda *_: next(engines))
    monkeypatch.setattr(worker.engines, "check_against_golden", check_by_answering)
    monkeypatch.setattr(worker.batches, "REFUSED_FOR_S", 0.0)
    screen_all(screener)
    assert next(engines, None) is None
    assert states(prepared) == {"screened": SCANS}
    assert not screener.needs_new_process, "a processor needs none"


def test_an_engine_that_cannot_be_opened_for_an_odd_reason_is_refused(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    screener, _ = screener_with(monkeypatch, prepared, Breaks(RuntimeError("CUDA error: device-side assert"), after=0))
    monkeypatch.setattr(worker.engines, "check_against_golden", check_by_answering)
    screener.warm_up()
    assert "device-side assert" in str(screener.details()["refused"])
    assert screener.screen_slice(lambda: False) is False
    screener.close()
    assert states(prepared) == {"queued": SCANS}
    assert attempts(prepared) == {0}


def test_a_process_whose_device_failed_asks_itself_to_end(
    prepared: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    screener, engine = screener_with(monkeypatch, prepared, Breaks(RuntimeError("CUDA error"), after=3))
    engine.name = "torch"
    monkeypatch.setattr(worker.engines, "check_against_golden", check_by_answering)
    signals: list[tuple[int, int]] = []
    monkeypatch.setattr("worker.process.os.kill", lambda pid, number: signals.append((pid, number)))
    process = WorkerProcess(prepared.system)
    process._screener = screener
    process.screen()
    assert signals == [(os.getpid(), signal.SIGTERM)]
    assert states(prepared) == {"screened": 16, "queued": SCANS - 16}
    screener.close()


@pytest.mark.timeout(180)
def test_a_worker_whose_device_failed_ends_and_the_next_one_goes_on(prepared: Installation) -> None:
    prepared.app = "tests.integration.broken_app"
    broken = prepared.start("screen")
    assert broken.wait(90) == 0, prepared.log("screen")
    assert "broke while it was in use" in prepared.log("screen")
    assert states(prepared) == {"queued": SCANS}
    assert attempts(prepared) == {0}
    prepared.app = "worker.app"
    for kind in ("screen", "upkeep", "beat"):
        prepared.start(kind)
    assert prepared.wait_complete(1).screened == SCANS
