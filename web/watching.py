"""Counts as of a few minutes ago: counting all recent predictions takes seconds in a large installation."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar, cast

from flask import current_app
from sqlalchemy.orm import Session

from screening.system import System
from screening.threshold_choice import Scores, scores_of
from screening.watching.drift import Drift, watch
from web import current

T = TypeVar("T")

KEPT_S = 600.0
KEPT_TIMES = 200
"""Counts are kept this many times as long as counting took, so that in a small installation they are always new."""


class Latest(Generic[T]):
    """Counts anew when what it has is old, ten minutes at most; meanwhile other threads are given what there was."""

    def __init__(self, system: System, count: Callable[[Session, datetime], T]) -> None:
        self._system = system
        self._count = count
        self._lock = threading.Lock()
        self._counted_at: float | None = None
        self._kept_s = 0.0
        self._counted: T | None = None

    def get(self) -> T:
        first = self._counted_at is None
        if (first or self._is_old()) and self._lock.acquire(blocking=first):
            try:
                if self._is_old():
                    start = time.monotonic()
                    with self._system.database.read() as session:
                        self._counted = self._count(session, self._system.clock())
                    self._counted_at = time.monotonic()
                    self._kept_s = min(KEPT_S, KEPT_TIMES * (self._counted_at - start))
            finally:
                self._lock.release()
        return cast(T, self._counted)

    def _is_old(self) -> bool:
        return self._counted_at is None or time.monotonic() - self._counted_at > self._kept_s


def latest_drift() -> Drift | None:
    """None where no checkpoint is active. At most ten minutes old."""
    latest: Latest[Drift | None] = current_app.extensions.setdefault("screening-drift", Latest(current.system(), watch))
    return latest.get()


def latest_scores(checkpoint: str) -> Scores:
    """How this checkpoint scored what it screened. At most ten minutes old."""
    counting = Latest(current.system(), partial(scores_of, checkpoint=checkpoint))
    latest: Latest[Scores] = current_app.extensions.setdefault(f"screening-scores-{checkpoint}", counting)
    return latest.get()
