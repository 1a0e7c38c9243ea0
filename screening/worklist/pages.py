"""Pages of the worklist, and all of it for exports."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from screening.worklist.filters import Filters
from screening.worklist.items import WorklistItem, describe
from screening.worklist.parts import decode_place, forward
from screening.worklist.sections import listed, plan_for_these_values

LARGEST_PAGE = 500


@dataclass(frozen=True)
class WorklistPage:
    items: list[WorklistItem]
    next: str | None
    """Cursor of the next page; None at the end."""
    checkpoint: str
    threshold: float
    likely_threshold: float


def worklist_page(
    session: Session,
    filters: Filters | None = None,
    limit: int = 100,
    cursor: str | None = None,
    now: datetime | None = None,
) -> WorklistPage:
    """One page of the list of a run, or of everything the active checkpoint screened. With `now`, holds are told.

    Raises Refused for a cursor that was not made here, NotFound for an unknown run, Conflict where no checkpoint is
    active, or another one than when the cursor was made.
    """
    found = listed(session, filters or Filters())
    place = decode_place(cursor, found.sections, found.checkpoint) if cursor else None
    rows, following = forward(session, found.sections, max(1, min(limit, LARGEST_PAGE)), place)
    return WorklistPage(
        describe(session, found, rows, now),
        following.encode(found.checkpoint) if following else None,
        found.checkpoint,
        found.point.threshold,
        found.point.likely_threshold,
    )


def whole_worklist(session: Session, filters: Filters | None = None) -> Iterator[WorklistItem]:
    """Every item, page by page, for exports: of one checkpoint and under one pair of thresholds from first to last,
    whatever is put in use meanwhile. Raises as worklist_page does.

    The transaction ends before the items of a page are given: whoever takes them may be slow, and neither the
    connection nor what the transaction sees is to be kept for that long.
    """
    found, place = listed(session, filters or Filters()), None
    while True:
        plan_for_these_values(session)
        rows, place = forward(session, found.sections, LARGEST_PAGE, place)
        items = describe(session, found, rows, None)
        session.expunge_all()
        session.rollback()
        yield from items
        if place is None:
            return
