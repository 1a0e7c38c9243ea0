"""The workers' app with a decoder and an engine that certain pictures end, as a bug in a native library would.

Nothing of this is in the product: an original that holds ORIGINAL_MARK ends the prepare worker, a rendition that is
black and white ends the screen worker.
"""

import os
import signal
from typing import Any

import numpy as np
from numpy.typing import NDArray

import worker.engines
import worker.prepare
from screening.inference.engine import Engine, Predictions
from screening.radiographs.decoder import Decoder
from screening.radiographs.facts import Prepared
from screening.radiographs.rendition_spec import RenditionSpec
from tests.chaos.poison import ORIGINAL_MARK, is_black_and_white
from worker.app import app

__all__ = ["app"]


class PoisonedDecoder(Decoder):
    def prepare(self, data: bytes, spec: RenditionSpec) -> Prepared:
        if ORIGINAL_MARK in data:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().prepare(data, spec)


class PoisonedEngine:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def predict(self, batch: NDArray[np.uint8]) -> Predictions:
        if any(is_black_and_white(rendition) for rendition in batch):
            os.kill(os.getpid(), signal.SIGKILL)
        return self._engine.predict(batch)


_open_engine = worker.engines.open_engine
worker.engines.open_engine = lambda *arguments: PoisonedEngine(_open_engine(*arguments))
worker.prepare.Decoder = PoisonedDecoder  # type: ignore[misc]
