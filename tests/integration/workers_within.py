"""Workers' insides in the process of the test, with an engine that needs no network."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

import worker.engines
from screening.inference.engine import Precision, Predictions
from screening.inference.selfcheck import SelfCheck
from screening.radiographs.limits import DecodeLimits
from tests.installation import Installation
from worker.prepare import Preparer
from worker.screen import Screener


class BrightnessEngine:
    """A working engine without a network: the mean brightness is the probability. `trouble` may raise."""

    name = "brightness"
    device = "test"
    precision: Precision = "fp32"

    def __init__(self, side: int, trouble: Callable[[NDArray[np.uint8]], None]) -> None:
        self.side = side
        self._trouble = trouble
        self.batches: list[int] = []

    def predict(self, batch: NDArray[np.uint8]) -> Predictions:
        self.batches.append(len(batch))
        self._trouble(batch)
        means = batch.reshape(len(batch), -1).mean(axis=1) / 255
        return Predictions(means.astype(np.float32), np.zeros((len(batch), 2, 2), np.float32))


def prepare_all(made: Installation) -> None:
    preparer = Preparer(made.system, DecodeLimits(), children=1)
    while preparer.prepare_slice(lambda: False):
        pass
    preparer.close()


def screener_with(
    monkeypatch: pytest.MonkeyPatch, made: Installation, trouble: Callable[[NDArray[np.uint8]], None]
) -> tuple[Screener, BrightnessEngine]:
    engine = BrightnessEngine(64, trouble)
    monkeypatch.setattr(worker.engines, "open_engine", lambda *_: engine)
    monkeypatch.setattr(worker.engines, "check_against_golden", lambda *_: SelfCheck(0.0, 0.0, 1))
    return Screener(made.system, "screen@test", 1), engine


def screen_all(screener: Screener) -> None:
    while screener.screen_slice(lambda: False):
        pass
    screener.close()
