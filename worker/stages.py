"""How long the stages of a worker's work take: what the system page, the workers' API and the benchmark tell."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class StageTimes:
    """Seconds and scans of each stage since the process began. Threads may add at the same time.

    Stages overlap (a batch is loaded while the one before is in the engine), so their sum says how much work there
    is and not how long it takes.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, tuple[float, int]] = {}

    def add(self, stage: str, seconds: float, scans: int) -> None:
        with self._lock:
            before_s, before = self._totals.get(stage, (0.0, 0))
            self._totals[stage] = (before_s + seconds, before + scans)

    @contextmanager
    def timing(self, stage: str, scans: int) -> Iterator[None]:
        """Add what the block takes. A block that raises did not do its work and is not counted."""
        started = time.perf_counter()
        yield
        self.add(stage, time.perf_counter() - started, scans)

    def as_details(self) -> dict[str, dict[str, float]]:
        """By stage, in the order in which each was first entered: `seconds`, and the `scans` that went through."""
        with self._lock:
            return {
                stage: {"seconds": round(seconds, 3), "scans": scans}
                for stage, (seconds, scans) in self._totals.items()
                if scans
            }
