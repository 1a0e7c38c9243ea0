"""The workers' app with a clock that a test turns, and so slow an engine that a night cannot end within a moment."""

import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import worker.engines
from screening.inference.engine import Predictions
from tests.integration.rescreening.clocked_app import app

__all__ = ["app"]

SLOW_SIDE = int(os.environ["SCREENING_TEST_SLOW_SIDE"])
"""Checkpoints with renditions of this side are slow; the others are not, so that the day is short."""
SECONDS_FOR_A_BATCH = 0.5


def _unhurried(open_engine: Callable[..., Any]) -> Callable[..., Any]:
    def open_slowly(*arguments: object) -> Any:
        engine = open_engine(*arguments)
        if engine.side != SLOW_SIDE:
            return engine
        predict = engine.predict

        def predict_slowly(batch: NDArray[np.uint8]) -> Predictions:
            time.sleep(SECONDS_FOR_A_BATCH)
            predictions: Predictions = predict(batch)
            return predictions

        engine.predict = predict_slowly
        return engine

    return open_slowly


worker.engines.open_engine = _unhurried(worker.engines.open_engine)
