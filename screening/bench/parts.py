"""The parts by themselves: the bare engine on renditions in memory, and decoding alone."""

import queue
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from screening.inference.engine import Engine
from screening.radiographs.decoder import Decoder
from screening.radiographs.limits import DecodeLimits
from screening.radiographs.problems import Unscreenable
from screening.radiographs.rendition import fit_input
from screening.radiographs.rendition_file import load_rendition
from screening.radiographs.rendition_spec import RenditionSpec


class PreparePool:
    """As many limited children as a prepare worker has, fed from memory."""

    def __init__(self, children: int) -> None:
        self._stack = ExitStack()
        self._decoders: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        for _ in range(children):
            self._decoders.put(self._stack.enter_context(Decoder(DecodeLimits())))
        self._threads = self._stack.enter_context(ThreadPoolExecutor(children))

    def prepare(self, paths: Sequence[Path], spec: RenditionSpec) -> list[NDArray[np.uint8]]:
        """Square renditions of what can be screened of these files."""

        def one(path: Path) -> NDArray[np.uint8] | None:
            decoder = self._decoders.get()
            try:
                return fit_input(load_rendition(decoder.prepare(path.read_bytes(), spec).rendition_png), spec.side)
            except Unscreenable:
                return None
            finally:
                self._decoders.put(decoder)

        return [square for square in self._threads.map(one, paths) if square is not None]

    def close(self) -> None:
        self._stack.close()


def engine_speed(engine: Engine, squares: NDArray[np.uint8], batch: int) -> float:
    """Images per second of the engine on renditions (n, side, side) in memory."""
    started = time.perf_counter()
    for start in range(0, len(squares), batch):
        engine.predict(squares[start : start + batch])
    return len(squares) / (time.perf_counter() - started)
