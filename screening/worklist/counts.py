"""How many items each band holds: exact up to a number, and beyond it only that there are more."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from screening.worklist.filters import Filters
from screening.worklist.sections import count_up_to, in_band, left_flagged, listed, must_look, ranked, sampled

COUNTED_UP_TO = 10_000
NARROWED_UP_TO = 1_000
"""Larger counts are not told, because counting a million rows for each look at a list would cost more than the list."""


@dataclass(frozen=True)
class BandCounts:
    """Each is exact up to `counted_up_to` the filters; one more than that stands for "more"."""

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


def counted_up_to(filters: Filters) -> int:
    """A filter makes each scan that is counted dearer, so fewer are counted under filters."""
    return NARROWED_UP_TO if filters.narrowed else COUNTED_UP_TO


def band_counts(session: Session, filters: Filters | None = None) -> BandCounts:
    """Count scans under the filters; the band, the queue and the grouping among them are left out of account.

    Raises as worklist_page does.
    """
    chosen = filters or Filters()
    plain = Filters(**{**vars(chosen), "band": None, "to_read": False, "by_study": False})
    found = listed(session, plain)
    screened, most = ranked(found.checkpoint, plain, found.few), counted_up_to(plain)
    likely, possible, not_flagged = (
        count_up_to(session, screened.where(*in_band(band, found.point)), most)
        for band in ("likely", "possible", "not_flagged")
    )
    unscreened = count_up_to(session, must_look(found.checkpoint, plain, found.few), most)
    return BandCounts(unscreened, likely, possible, not_flagged)


def count_to_read(session: Session, filters: Filters) -> int:
    """How many scans the reading queue holds under the filters, counted in the same way."""
    queue = Filters(**{**vars(filters), "band": None, "reviewed": None, "by_study": False, "to_read": True})
    found = listed(session, queue)
    parts = (
        must_look(found.checkpoint, queue, found.few),
        ranked(found.checkpoint, queue, found.few).where(*in_band("flagged", found.point)),
        sampled(found.checkpoint, queue, found.point, found.few),
        *(
            left_flagged(found.checkpoint, queue, found.formers, number, found.few)
            for number in range(len(found.formers))
        ),
    )
    return sum(count_up_to(session, part, counted_up_to(queue)) for part in parts)
