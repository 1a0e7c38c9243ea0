"""Counts and the top of the list of whole comparisons, remembered while nothing more is screened.

To count or to rank a million pairs takes a second or two, and somebody who reads a comparison comes back to it from
every scan. Predictions are only ever added, so what was worked out holds until there is another one. Thresholds are
part of a comparison, so new ones apply at once; what readers decide is never remembered.
"""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.comparison.pairs import Comparison, Kind, Scope
from screening.comparison.ranking import Place, RankedPair, ranked_after
from screening.comparison.summary import Counts, count
from screening.database.tables import Prediction

LONGEST_LIST = 2000
"""The pairs with the largest changes, of a comparison or of one kind; whoever goes further down asks the database."""
MOST_KEPT = 64
SETTLED_AFTER = timedelta(minutes=1)
"""A prediction with a lower id may be committed after one with a higher id, but not by so much."""
KEPT_FOR = timedelta(minutes=10)
"""In case rows are removed by hand."""
T = TypeVar("T")


@dataclass(frozen=True)
class _Answer:
    newest: int
    """Id of the latest prediction when it was found."""
    at: datetime
    answer: Any


class Remembered:
    """The memory of one process; any number of threads may ask."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, _Answer] = OrderedDict()

    def count(self, session: Session, comparison: Comparison) -> Counts:
        """See `screening.comparison.summary.count`."""
        return self._remembered(session, comparison, "counts", lambda: count(session, comparison))

    def ranked_after(
        self, session: Session, comparison: Comparison, kind: Kind | None, after: Place | None, number: int
    ) -> Sequence[RankedPair]:
        """See `screening.comparison.ranking.ranked_after`."""
        if comparison.scope != Scope():
            return ranked_after(session, comparison, kind, after, number)
        top = self._remembered(
            session, comparison, kind, lambda: ranked_after(session, comparison, kind, None, LONGEST_LIST)
        )
        start = 0
        if after is not None:
            change, scan = after
            start = bisect_right(top, (-change, scan), key=lambda pair: (-pair.distance, pair.scan))
        if start + number > len(top) == LONGEST_LIST:
            return ranked_after(session, comparison, kind, after, number)
        return top[start : start + number]

    def _remembered(self, session: Session, comparison: Comparison, what: str | None, find: Callable[[], T]) -> T:
        """What is known of a comparison of the whole archive, or else found now. Runs may get other scans any time."""
        if comparison.scope != Scope():
            return find()
        now = self._clock()
        latest = session.execute(
            select(Prediction.id, Prediction.created_at).order_by(Prediction.id.desc()).limit(1)
        ).first()
        if latest is None or abs(now - latest.created_at) < SETTLED_AFTER:
            return find()
        key = (comparison, what)
        with self._lock:
            known = self._kept.get(key)
        if known is not None and known.newest == latest.id and abs(now - known.at) < KEPT_FOR:
            kept: T = known.answer
            return kept
        found = find()
        with self._lock:
            self._kept[key] = _Answer(latest.id, now, found)
            self._kept.move_to_end(key)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return found
