"""How many renditions an engine takes at once: measured once for each device, and kept in a file.

More at once is faster up to what the device computes in parallel, which differs a hundredfold between devices; beyond
that a batch only takes longer, and an urgent scan waits for the batch before it.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import structlog

from screening.inference.engine import Engine, EngineError, OutOfDeviceMemory
from screening.whole_files import write_json_whole

log = structlog.get_logger()

SMALLEST, LARGEST = 8, 1024
LONGEST_BATCH_S = 0.5
"""An urgent scan may wait for two batches."""
GOOD_ENOUGH = 0.97
"""The share of the best throughput for which the smallest batch is taken."""
TIMES = 3


def measure_batch_size(engine: Engine, clock: Callable[[], float] = time.perf_counter) -> int:
    """The smallest power of two that is about as fast per rendition as any that fits the device's memory and time.

    Raises EngineError where not even the smallest fits.
    """
    speeds: dict[int, float] = {}
    size, took = SMALLEST, 0.0
    while size <= LARGEST and 2 * took <= LONGEST_BATCH_S:
        try:
            took = _fastest(engine, size, clock)
        except OutOfDeviceMemory as error:
            if not speeds:
                raise EngineError(f"{error}; stop what else uses this device, or set the batch size") from error
            break
        speeds[size] = size / took
        size *= 2
    enough = GOOD_ENOUGH * max(speeds.values())
    chosen = min(size for size, speed in speeds.items() if speed >= enough)
    log.info("batch size measured", chosen=chosen, per_second={size: round(speed) for size, speed in speeds.items()})
    return chosen


def _fastest(engine: Engine, size: int, clock: Callable[[], float]) -> float:
    """Seconds of the fastest of a few batches, after one that does not count."""
    batch = np.random.default_rng(0).integers(0, 256, (size, engine.side, engine.side), np.uint8)
    engine.predict(batch)
    took = []
    for _ in range(TIMES):
        start = clock()
        engine.predict(batch)
        took.append(max(clock() - start, 1e-9))
    return min(took)


def batch_size_of(engine: Engine, kept: Path) -> int:
    """What was measured of an engine like this on this device, or is measured now and kept in the JSON file `kept`."""
    device = f"{engine.name}, {engine.device}, {engine.precision}, {engine.side} px"
    sizes = _read(kept)
    if device not in sizes:
        sizes[device] = measure_batch_size(engine)
        try:
            write_json_whole(kept, sizes)
        except OSError as error:
            log.warning("batch size is not kept and will be measured again", file=str(kept), error=str(error))
    return sizes[device]


def _read(kept: Path) -> dict[str, int]:
    """Nothing where there is no such file, or another program's: measuring again costs seconds."""
    try:
        sizes = json.loads(kept.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(sizes, dict):
        return {}
    return {device: size for device, size in sizes.items() if isinstance(size, int) and 1 <= size <= LARGEST}
