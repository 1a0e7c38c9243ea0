"""The worklist: what could not be screened first, then by probability. Nothing is left out, nothing is called normal.

Two ordered parts make one list: *must look* (no probability, in the order of arrival), then every screened scan by
falling probability. Pages are cut by key, not by offset, so a page late in a long list costs what the first one costs.
The two thresholds are compared when the list is read, so new ones apply at once; a band of the screened is a range of
probabilities in the same order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from screening.bands import Band, BandFilter, band_of
from screening.checkpoints import active, operating_point
from screening.cursors import decode_cursor, encode_cursor
from screening.database.base import LARGEST_ID
from screening.database.states import JobState
from screening.database.tables import Job, OperatingPointChange, Prediction, Run, Scan

LARGEST_PAGE = 500
_NOT_SCREENED = (JobState.REJECTED, JobState.FAILED)


@dataclass(frozen=True)
class WorklistItem:
    scan: str
    run: int
    file_name: str
    band: Band
    probability: float | None
    reason: str | None
    """Why a scan of the band must_look has no probability."""
    code: str | None
    body_part: str | None
    view: str | None
    laterality: str | None
    study: str | None
    received_at: datetime


@dataclass(frozen=True)
class WorklistPage:
    items: list[WorklistItem]
    next: str | None
    """Cursor of the next page; None at the end."""
    checkpoint: str
    threshold: float
    likely_threshold: float


@dataclass(frozen=True)
class BandCounts:
    """How many items each band holds."""

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


@dataclass(frozen=True)
class _Place:
    """Behind which item a page begins: a job of *must look*, or a probability and a job among the screened."""

    ranked: bool
    job: int
    probability: float

    def encode(self) -> str:
        return encode_cursor(self.ranked, self.job, self.probability)

    @classmethod
    def decode(cls, cursor: str) -> "_Place":
        def read(ranked: Any, job: Any, probability: Any) -> "_Place":
            place = cls(bool(ranked), int(job), float(probability))
            if not 0 <= place.job <= LARGEST_ID:
                raise ValueError("no database has such a job")
            return place

        return decode_cursor(cursor, read)


def worklist_page(
    session: Session,
    run: Run | None = None,
    band: BandFilter | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> WorklistPage:
    """One page of the list of a run, or of everything the active checkpoint screened.

    Raises Refused for a cursor that was not made here, Conflict where no checkpoint is active.
    """
    checkpoint_id = run.checkpoint_id if run else active(session).id
    point = operating_point(session, checkpoint_id)
    limit = max(1, min(limit, LARGEST_PAGE))
    place = _Place.decode(cursor) if cursor else _Place(ranked=False, job=0, probability=2.0)
    rows: list[Any] = []
    if not place.ranked and band in (None, "must_look"):
        rows += session.execute(_must_look(checkpoint_id, run).where(Job.id > place.job).limit(limit + 1)).all()
    if len(rows) <= limit and band != "must_look":
        behind = place if place.ranked else _Place(ranked=True, job=0, probability=2.0)
        statement = _ranked(checkpoint_id, run).where(_after(behind), *_range(band, point))
        rows += session.execute(statement.limit(limit + 1 - len(rows))).all()
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        last = page[-1]
        screened = last.probability is not None
        following = _Place(screened, last.job, last.probability if screened else 2.0).encode()
    items = [_item(row, point) for row in page]
    return WorklistPage(items, following, checkpoint_id, point.threshold, point.likely_threshold)


def whole_worklist(session: Session, run: Run | None = None, band: BandFilter | None = None) -> Iterator[WorklistItem]:
    """Every item, page by page, for exports."""
    cursor: str | None = None
    while True:
        page = worklist_page(session, run, band, LARGEST_PAGE, cursor)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def band_counts(session: Session, run: Run | None = None) -> BandCounts:
    """Count the list of a run, or of everything the active checkpoint screened. Raises Conflict as worklist_page."""
    checkpoint_id = run.checkpoint_id if run else active(session).id
    point = operating_point(session, checkpoint_id)
    must_look = _must_look(checkpoint_id, run).order_by(None).subquery()
    ranked = _ranked(checkpoint_id, run).order_by(None).subquery()
    likely, flagged, screened = session.execute(
        select(
            func.count().filter(ranked.c.probability >= point.likely_threshold),
            func.count().filter(ranked.c.probability >= point.threshold),
            func.count(),
        ).select_from(ranked)
    ).one()
    unscreened = session.scalar(select(func.count()).select_from(must_look)) or 0
    return BandCounts(unscreened, likely, flagged - likely, screened - flagged)


_COLUMNS = (
    Scan.id.label("scan"),
    Job.run_id.label("run"),
    Job.id.label("job"),
    Job.file_name,
    Job.problem_code,
    Job.problem,
    Scan.body_part,
    Scan.view,
    Scan.laterality,
    Scan.study,
    Scan.received_at,
)


def _must_look(checkpoint_id: str, run: Run | None) -> Select[*tuple[Any, ...]]:
    statement: Select[*tuple[Any, ...]] = (
        select(*_COLUMNS, Prediction.probability)
        .select_from(Job)
        .join(Scan, Scan.id == Job.scan_id)
        .outerjoin(Prediction, and_(Prediction.scan_id == Job.scan_id, Prediction.checkpoint_id == checkpoint_id))
        .where(Job.state.in_(_NOT_SCREENED), Prediction.id.is_(None))
        .order_by(Job.id)
    )
    return statement.where(Job.run_id == run.id) if run else statement.where(_latest_job(checkpoint_id))


def _ranked(checkpoint_id: str, run: Run | None) -> Select[*tuple[Any, ...]]:
    statement: Select[*tuple[Any, ...]] = (
        select(*_COLUMNS, Prediction.probability)
        .select_from(Prediction)
        .join(Job, Job.scan_id == Prediction.scan_id)
        .join(Scan, Scan.id == Prediction.scan_id)
        .where(Prediction.checkpoint_id == checkpoint_id)
        .order_by(Prediction.probability.desc(), Job.id)
    )
    return statement.where(Job.run_id == run.id) if run else statement.where(_latest_job(checkpoint_id))


def _latest_job(checkpoint_id: str) -> ColumnElement[bool]:
    """Over all runs a scan is listed once, under the latest job that it has: of this checkpoint's runs, if in any.

    Jobs for another checkpoint, which is only tried on the archive, must neither hide what could not be screened nor
    speak of it.
    """
    later = Job.__table__.alias("later")
    runs = select(Run.id).where(Run.checkpoint_id == checkpoint_id)
    own, others = Job.run_id.in_(runs), later.c.run_id.in_(runs)
    goes_before = or_(and_(others, ~own), and_(later.c.id > Job.id, or_(others, ~own)))
    return ~exists().where(later.c.scan_id == Job.scan_id, goes_before)


def _after(place: _Place) -> ColumnElement[bool]:
    return or_(
        Prediction.probability < place.probability,
        and_(Prediction.probability == place.probability, Job.id > place.job),
    )


def _range(band: BandFilter | None, point: OperatingPointChange) -> list[ColumnElement[bool]]:
    """A band of the screened as conditions on the probability."""
    at_least = {"likely": point.likely_threshold, "possible": point.threshold, "flagged": point.threshold}
    below = {"possible": point.likely_threshold, "not_flagged": point.threshold}
    conditions = []
    if band in at_least:
        conditions.append(Prediction.probability >= at_least[band])
    if band in below:
        conditions.append(Prediction.probability < below[band])
    return conditions


def _item(row: Any, point: OperatingPointChange) -> WorklistItem:
    return WorklistItem(
        scan=row.scan,
        run=row.run,
        file_name=row.file_name,
        band=band_of(row.probability, point.threshold, point.likely_threshold),
        probability=row.probability,
        reason=row.problem,
        code=row.problem_code,
        body_part=row.body_part,
        view=row.view,
        laterality=row.laterality,
        study=row.study,
        received_at=row.received_at,
    )
