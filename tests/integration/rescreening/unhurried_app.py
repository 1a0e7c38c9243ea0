"""The workers' app with a clock that a test turns, and engines so slow that a night cannot end within a moment."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import worker.engines
from screening.inference.engine import Predictions
from tests.integration.rescreening.clocked_app import app

__all__ = ["app"]

SECONDS_FOR_A_BATCH = 0.5


def _unhurried(open_engine: Callable[..., Any]) -> Callable[..., Any]:
    def open_slowly(*arguments: object) -> Any:
        engine = open_engine(*arguments)
        predict = engine.predict

        def predict_slowly(batch: NDArray[np.uint8]) -> Predictions:
            time.sleep(SECONDS_FOR_A_BATCH)
            predictions: Predictions = predict(batch)
            return predictions

        engine.predict = predict_slowly
        return engine

    return open_slowly


worker.engines.open_engine = _unhurried(worker.engines.open_engine)
