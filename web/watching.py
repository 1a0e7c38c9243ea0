"""The drift as of a few minutes ago: counting all recent predictions takes seconds in a large installation."""

import threading
import time

from flask import current_app

from screening.system import System
from screening.watching.drift import Drift, watch
from web import current

EXTENSION = "screening-drift"
KEPT_S = 600.0


class LatestDrift:
    """Counts anew when what it has is ten minutes old. Meanwhile other threads are given what there was before."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._lock = threading.Lock()
        self._counted_at: float | None = None
        self._drift: Drift | None = None

    def get(self) -> Drift | None:
        first = self._counted_at is None
        if (first or self._is_old()) and self._lock.acquire(blocking=first):
            try:
                if self._is_old():
                    with self._system.database.read() as session:
                        self._drift = watch(session, self._system.clock())
                    self._counted_at = time.monotonic()
            finally:
                self._lock.release()
        return self._drift

    @property
    def known(self) -> Drift | None:
        """What was counted last, without counting."""
        return self._drift

    def _is_old(self) -> bool:
        return self._counted_at is None or time.monotonic() - self._counted_at > KEPT_S


def latest_drift() -> Drift | None:
    """None where no checkpoint is active. At most ten minutes old."""
    return _latest().get()


def drift_warnings() -> list[str]:
    """Those of the last count of this process, whenever that was; none before the first."""
    known = _latest().known
    return known.warnings if known else []


def _latest() -> LatestDrift:
    latest: LatestDrift = current_app.extensions.setdefault(EXTENSION, LatestDrift(current.system()))
    return latest
