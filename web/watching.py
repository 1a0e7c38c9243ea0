"""Counts as of a few minutes ago: counting all recent predictions takes seconds in a large installation."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar, cast

from flask import current_app
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.database.tables import Checkpoint, Job, Prediction, Scan
from screening.system import System
from screening.threshold_choice import Scores, scores_of
from screening.upkeep.capacity import bytes_kept
from screening.watching.drift import Drift, watch
from screening.worklist import BandCounts, Filters, band_counts
from screening.worklist.counts import count_to_read
from web import current

T = TypeVar("T")

KEPT_S = 600.0
TRUSTED_S = 3600.0
PATIENCE_S = 0.3
KEPT_TIMES = 200
"""Counts are kept this many times as long as counting took, so that in a small installation they are always new."""
LISTS_KEPT_TIMES = 20
MOST_LISTS = 200


class Latest(Generic[T]):
    """Counts anew when what it has is old, ten minutes at most; meanwhile other threads are given what there was."""

    def __init__(self, system: System, count: Callable[[Session, datetime], T], kept_times: int = KEPT_TIMES) -> None:
        self._system = system
        self._kept_times = kept_times
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
                    self._kept_s = min(KEPT_S, self._kept_times * (self._counted_at - start))
            finally:
                self._lock.release()
        return cast(T, self._counted)

    def soon(self) -> T | None:
        """The same for a page that does not wait: None where counting takes longer than a moment and nothing of the
        last hour is there; then it goes on, and a later page has it."""
        if self._is_old() and not self._lock.locked():
            counting = threading.Thread(target=self.get, daemon=True)
            counting.start()
            counting.join(PATIENCE_S)
        trusted = self._counted_at is not None and time.monotonic() - self._counted_at < TRUSTED_S
        return self._counted if trusted else None

    def _is_old(self) -> bool:
        return self._counted_at is None or time.monotonic() - self._counted_at > self._kept_s


def latest_drift() -> Drift | None:
    """Of the active checkpoint; None where there is none. At most ten minutes old."""
    return _drift().get()


def drift_warnings() -> list[str]:
    """At most an hour old; none where counting takes longer than a page may."""
    known = _drift().soon()
    return known.warnings if known else []


def _drift() -> Latest[Drift | None]:
    with current.system().database.read() as session:
        in_use = session.scalar(select(Checkpoint.id).where(Checkpoint.active))
    return kept_count(f"drift-{in_use}", watch)


def kept_count(name: str, count: Callable[[Session, datetime], T], kept_times: int = KEPT_TIMES) -> Latest[T]:
    """What this process keeps under a name; `count` is taken when it is asked for the first time."""
    latest: Latest[T] = current_app.extensions.setdefault(
        f"screening-{name}", Latest(current.system(), count, kept_times)
    )
    return latest


def latest_scores(checkpoint: str) -> Scores:
    """How this checkpoint scored what it screened. At most ten minutes old."""
    return kept_count(f"scores-{checkpoint}", partial(scores_of, checkpoint=checkpoint)).get()


@dataclass(frozen=True)
class Totals:
    """What the installation holds."""

    scans: int
    predictions: int
    bytes: int
    """Of all originals in storage."""
    jobs: dict[str, int]
    """By state."""


def latest_totals() -> Totals:
    """Kept twenty times as long as counting took."""

    def count(session: Session, _now: datetime) -> Totals:
        return Totals(
            scans=session.scalar(select(func.count()).select_from(Scan)) or 0,
            predictions=session.scalar(select(func.count()).select_from(Prediction)) or 0,
            bytes=bytes_kept(session),
            jobs=dict(session.execute(select(Job.state, func.count()).group_by(Job.state)).all()),
        )

    return kept_count("totals", count, LISTS_KEPT_TIMES).get()


def latest_counts(filters: Filters) -> tuple[BandCounts, int]:
    """(the bands' counts, how many scans are to be read) under the filters; kept twenty times as long as counting took.

    Raises Conflict where no checkpoint is active, NotFound for an unknown run.
    """
    plain = replace(filters, band=None, to_read=False, by_study=False)
    lists: dict[Filters, Latest[tuple[BandCounts, int]]] = current_app.extensions.setdefault("screening-counts", {})
    if plain not in lists and len(lists) >= MOST_LISTS:
        lists.clear()

    def count(session: Session, _now: datetime) -> tuple[BandCounts, int]:
        return band_counts(session, plain), count_to_read(session, plain)

    return lists.setdefault(plain, Latest(current.system(), count, LISTS_KEPT_TIMES)).get()
