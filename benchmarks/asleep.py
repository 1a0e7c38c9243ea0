"""A screen worker whose engine only sleeps: started by `benchmarks.many_workers`, and told by it when to begin.

    SCREENING_...=... python -m benchmarks.asleep IMAGES_PER_S [CORE]

It keeps to one core if one is named, as if that were its machine. It prints "ready", waits for a line, screens until
nothing is left, and prints what it used as one JSON document.
"""

# ruff: noqa: T201  what it prints is read by the benchmark

import json
import os
import resource
import sys
import threading
import time

import numpy as np
import psutil
from numpy.typing import NDArray

import worker.engines
from screening.inference.engine import Precision, Predictions
from screening.inference.selfcheck import SelfCheck
from screening.settings import load_settings
from screening.system import open_system
from worker.screen import Screener

CELL = 32
EMPTY_ENDS = 3
"""So many slices in a row that find nothing end the worker: another may hold what will be handed back."""
LOOKS_EVERY_S = 0.1


class SleepingEngine:
    """Takes the time that a network would, and no processor: what is left is the queue, the database and the maps."""

    name = "asleep"
    device = "none"
    precision: Precision = "fp32"

    def __init__(self, images_per_s: float) -> None:
        self._per_image_s = 1 / images_per_s

    def predict(self, batch: NDArray[np.uint8]) -> Predictions:
        time.sleep(len(batch) * self._per_image_s)
        cells = batch.shape[-1] // CELL
        means = batch[:, ::CELL, ::CELL].mean(axis=(1, 2)) / 255
        maps = np.broadcast_to(means[:, None, None], (len(batch), cells, cells))
        return Predictions(means.astype(np.float32), maps.astype(np.float32))


class MemoryCurve(threading.Thread):
    """How much memory this process has, over the scans that it has screened."""

    def __init__(self, screener: Screener) -> None:
        super().__init__(daemon=True)
        self._screener = screener
        self._over = threading.Event()
        self.points: list[tuple[int, float]] = []

    def run(self) -> None:
        process = psutil.Process()
        while not self._over.wait(LOOKS_EVERY_S):
            self.points.append((self._screener.statistics.scans, round(process.memory_info().rss / 2**20, 1)))

    def stop(self) -> None:
        self._over.set()
        self.join()


def main() -> None:
    engine = SleepingEngine(float(sys.argv[1]))
    if sys.argv[2:]:
        psutil.Process().cpu_affinity([int(sys.argv[2])])
    worker.engines.open_engine = lambda *_: engine
    worker.engines.check_against_golden = lambda *_: SelfCheck(0.0, 0.0, 1)
    system = open_system(load_settings())
    screener = Screener(system, f"asleep@{os.getpid()}", 1)
    screener.warm_up()
    before_mb = psutil.Process().memory_info().rss / 2**20
    print("ready", flush=True)
    sys.stdin.readline()
    curve = MemoryCurve(screener)
    curve.start()
    cpu, started, ended, empty = time.process_time(), time.perf_counter(), time.perf_counter(), 0
    while empty < EMPTY_ENDS:
        done = screener.statistics.scans
        screener.screen_slice(lambda: False)
        if screener.statistics.scans > done:
            ended, empty = time.perf_counter(), 0
        else:
            empty += 1
            time.sleep(0.1)
    used = time.process_time() - cpu
    curve.stop()
    details = screener.details()
    screener.close()
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                "scans": screener.statistics.scans,
                "seconds": ended - started,
                "cpu_s": used,
                "before_mb": before_mb,
                "peak_mb": peak_mb,
                "memory": curve.points,
                "stages": details["stages"],
            }
        ),
        flush=True,
    )
    system.close()


if __name__ == "__main__":
    main()
