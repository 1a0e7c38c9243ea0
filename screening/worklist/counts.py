"""How many items each band holds: exact up to a number, and beyond it only that there are more."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from screening.worklist.filters import Filters
from screening.worklist.sections import count_up_to, in_band, listed, must_look, ranked, sampled

COUNTED_UP_TO = 10_000
"""Larger counts are not told, because counting a million rows for each look at a list would cost more than the list."""


@dataclass(frozen=True)
class BandCounts:
    """Each is exact up to COUNTED_UP_TO; one more than that stands for "more"."""

    must_look: int
    likely: int
    possible: int
    not_flagged: int

    @property
    def flagged(self) -> int:
        return self.likely + self.possible

    @property
    def total(self) -> int:
        return self.must_look + self.flagged + self.not_flagged


def band_counts(session: Session, filters: Filters | None = None) -> BandCounts:
    """Count scans under the filters; the band, the queue and the grouping among them are left out of account.

    Raises as worklist_page does.
    """
    chosen = filters or Filters()
    plain = Filters(**{**vars(chosen), "band": None, "to_read": False, "by_study": False})
    found = listed(session, plain)
    screened = ranked(found.checkpoint, plain)
    likely, possible, not_flagged = (
        count_up_to(session, screened.where(*in_band(band, found.point)), COUNTED_UP_TO)
        for band in ("likely", "possible", "not_flagged")
    )
    unscreened = count_up_to(session, must_look(found.checkpoint, plain), COUNTED_UP_TO)
    return BandCounts(unscreened, likely, possible, not_flagged)


def count_to_read(session: Session, filters: Filters) -> int:
    """How many scans the reading queue holds under the filters, counted in the same way."""
    queue = Filters(**{**vars(filters), "band": None, "reviewed": None, "by_study": False, "to_read": True})
    found = listed(session, queue)
    parts = (
        must_look(found.checkpoint, queue),
        ranked(found.checkpoint, queue).where(*in_band("flagged", found.point)),
        sampled(found.checkpoint, queue, found.point),
    )
    return sum(count_up_to(session, part, COUNTED_UP_TO) for part in parts)
