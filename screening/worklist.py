"""The worklist: what could not be screened first, then by probability. Nothing is left out, nothing is called normal.

Two ordered parts make one list: *must look* (no probability, in the order of arrival), then every screened scan by
falling probability. Pages are cut by key, not by offset, so a page late in a long list costs what the first one costs.
The band is compared with the operating point when the list is read, so a new operating point applies at once.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from screening.checkpoints import active, operating_point
from screening.database.states import JobState
from screening.database.tables import Job, Prediction, Run, Scan
from screening.errors import Refused

Band = Literal["must_look", "flagged", "not_flagged"]
BANDS: tuple[Band, ...] = ("must_look", "flagged", "not_flagged")
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


@dataclass(frozen=True)
class _Place:
    """Behind which item a page begins: a job of *must look*, or a probability and a job among the screened."""

    ranked: bool
    job: int
    probability: float

    def encode(self) -> str:
        text = json.dumps([self.ranked, self.job, self.probability])
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, cursor: str) -> "_Place":
        try:
            ranked, job, probability = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
            place = cls(bool(ranked), int(job), float(probability))
            if not 0 <= place.job < 1 << 63:
                raise ValueError("no database has such a job")
            return place
        except (ValueError, TypeError, OverflowError):
            raise Refused("bad_cursor", "This cursor is not understood. Start again without one.") from None


def worklist_page(
    session: Session,
    run: Run | None = None,
    band: Band | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> WorklistPage:
    """One page of the list of a run, or of everything the active checkpoint screened.

    Raises Refused for a cursor that was not made here, Conflict where no checkpoint is active.
    """
    checkpoint_id = run.checkpoint_id if run else active(session).id
    threshold = operating_point(session, checkpoint_id).threshold
    limit = max(1, min(limit, LARGEST_PAGE))
    place = _Place.decode(cursor) if cursor else _Place(ranked=False, job=0, probability=2.0)
    rows: list[Any] = []
    if not place.ranked and band in (None, "must_look"):
        rows += session.execute(_must_look(checkpoint_id, run).where(Job.id > place.job).limit(limit + 1)).all()
    if len(rows) <= limit and band != "must_look":
        behind = place if place.ranked else _Place(ranked=True, job=0, probability=2.0)
        statement = _ranked(checkpoint_id, run).where(_after(behind))
        if band == "flagged":
            statement = statement.where(Prediction.probability >= threshold)
        elif band == "not_flagged":
            statement = statement.where(Prediction.probability < threshold)
        rows += session.execute(statement.limit(limit + 1 - len(rows))).all()
    page = rows[:limit]
    following = None
    if len(rows) > limit:
        last = page[-1]
        screened = last.probability is not None
        following = _Place(screened, last.job, last.probability if screened else 2.0).encode()
    return WorklistPage([_item(row, threshold) for row in page], following, checkpoint_id, threshold)


def whole_worklist(session: Session, run: Run | None = None, band: Band | None = None) -> Iterator[WorklistItem]:
    """Every item, page by page, for exports."""
    cursor: str | None = None
    while True:
        page = worklist_page(session, run, band, LARGEST_PAGE, cursor)
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


def band_counts(session: Session, run: Run | None = None) -> dict[Band, int]:
    """How many items each band holds."""
    checkpoint_id = run.checkpoint_id if run else active(session).id
    threshold = operating_point(session, checkpoint_id).threshold
    must_look = _must_look(checkpoint_id, run).order_by(None).subquery()
    ranked = _ranked(checkpoint_id, run).order_by(None).subquery()
    flagged, screened = session.execute(
        select(func.count().filter(ranked.c.probability >= threshold), func.count()).select_from(ranked)
    ).one()
    unscreened = session.scalar(select(func.count()).select_from(must_look)) or 0
    return {"must_look": unscreened, "flagged": flagged, "not_flagged": screened - flagged}


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
    return statement.where(Job.run_id == run.id) if run else statement.where(_latest_job())


def _ranked(checkpoint_id: str, run: Run | None) -> Select[*tuple[Any, ...]]:
    statement: Select[*tuple[Any, ...]] = (
        select(*_COLUMNS, Prediction.probability)
        .select_from(Prediction)
        .join(Job, Job.scan_id == Prediction.scan_id)
        .join(Scan, Scan.id == Prediction.scan_id)
        .where(Prediction.checkpoint_id == checkpoint_id)
        .order_by(Prediction.probability.desc(), Job.id)
    )
    return statement.where(Job.run_id == run.id) if run else statement.where(_latest_job())


def _latest_job() -> ColumnElement[bool]:
    """Over all runs a scan is listed once, under the latest job that it has."""
    later = Job.__table__.alias("later")
    return ~exists().where(later.c.scan_id == Job.scan_id, later.c.id > Job.id)


def _after(place: _Place) -> ColumnElement[bool]:
    return or_(
        Prediction.probability < place.probability,
        and_(Prediction.probability == place.probability, Job.id > place.job),
    )


def _item(row: Any, threshold: float) -> WorklistItem:
    band: Band = (
        "must_look" if row.probability is None else "flagged" if row.probability >= threshold else "not_flagged"
    )
    return WorklistItem(
        scan=row.scan,
        run=row.run,
        file_name=row.file_name,
        band=band,
        probability=row.probability,
        reason=row.problem,
        code=row.problem_code,
        body_part=row.body_part,
        view=row.view,
        laterality=row.laterality,
        study=row.study,
        received_at=row.received_at,
    )
