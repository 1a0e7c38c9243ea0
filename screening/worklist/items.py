"""What a list says of each of its items: the scan, the job that speaks for it, its views, reviews and holds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.bands import Band, band_of
from screening.database.review_tables import Review
from screening.database.tables import Job, Prediction, Scan
from screening.reviews.holds import holders
from screening.reviews.verdicts import seen_by
from screening.worklist.parts import Row
from screening.worklist.sections import Listed, speaking_job


@dataclass(frozen=True)
class ItemReview:
    """The latest decision of one reader that counts."""

    reader: str
    verdict: str
    reviewed_at: datetime


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
    views: int = 1
    """How many screened scans the study has; 1 where the list is not grouped by study."""
    held_by: str | None = None
    """Which reader has it open now."""
    held_since: datetime | None = None
    reviews: tuple[ItemReview, ...] = ()
    """Those that the reader who asks may see."""
    kept_back: int = 0
    """How many reviews of others are shown only after the reader's own."""
    checkpoint: str | None = None
    """Whose probability this is; None for the band must_look. A former one where none in use has screened the scan."""

    @property
    def verdicts(self) -> str:
        """What each reader decided, in one line."""
        return "; ".join(f"{review.reader}: {review.verdict}" for review in self.reviews)


def describe(session: Session, found: Listed, rows: Sequence[Row], now: datetime | None) -> list[WorklistItem]:
    """In the order of the rows. Holds are told as of `now`, and not at all without it. What others decided is kept back
    until the reader of the filters has decided, unless all reviews are asked for."""
    scans = {row.scan for row in rows}
    if not scans:
        return []
    jobs = _jobs(session, found, rows)
    held = holders(session, now, scans) if now is not None else {}
    reviews = _reviews(session, scans)
    views = _views(session, found, {job.study for job in jobs.values() if job.study}) if found.filters.by_study else {}
    items = []
    for row in rows:
        facts = jobs[row.scan if row.job is None else row.job]
        point = found.point_of(row.section, row.part)
        hold = held.get(row.scan)
        decided = reviews.get(row.scan, [])
        shown, kept_back = (decided, 0) if found.filters.all_reviews else seen_by(decided, found.filters.reader)
        items.append(
            WorklistItem(
                scan=row.scan,
                run=facts.run,
                file_name=facts.file_name,
                band=band_of(row.probability, point.threshold, point.likely_threshold),
                probability=row.probability,
                reason=facts.problem,
                code=facts.problem_code,
                body_part=facts.body_part,
                view=facts.view,
                laterality=facts.laterality,
                study=facts.study,
                received_at=facts.received_at,
                views=1 if row.probability is None else views.get(facts.study, 1),
                held_by=hold.reader if hold else None,
                held_since=hold.held_since if hold else None,
                reviews=tuple(shown),
                kept_back=kept_back,
                checkpoint=None if row.probability is None else point.checkpoint_id,
            )
        )
    return items


_FACTS = select(
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
).join(Job, Job.scan_id == Scan.id)


def _jobs(session: Session, found: Listed, rows: Sequence[Row]) -> dict[str | int, Any]:
    """What is known of each row, by job where the row names one, else by scan."""
    named = {row.job for row in rows if row.job is not None}
    others = {row.scan for row in rows if row.job is None}
    jobs: dict[str | int, Any] = {}
    if named:
        jobs |= {job.job: job for job in session.execute(_FACTS.where(Job.id.in_(named)))}
    if others:
        speaking = _FACTS.where(Scan.id.in_(others), Job.id == speaking_job(found.checkpoint, Scan.id))
        jobs |= {job.scan: job for job in session.execute(speaking)}
    return jobs


def _reviews(session: Session, scans: set[str]) -> Mapping[str, list[ItemReview]]:
    latest: dict[tuple[str, str], ItemReview] = {}
    rows = session.execute(
        select(Review.scan_id, Review.reader, Review.verdict, Review.reviewed_at)
        .where(Review.scan_id.in_(scans), Review.withdrawn_at.is_(None))
        .order_by(Review.id)
    )
    for row in rows:
        latest[row.scan_id, row.reader] = ItemReview(row.reader, row.verdict, row.reviewed_at)
    by_scan: dict[str, list[ItemReview]] = defaultdict(list)
    for (scan, _), review in latest.items():
        by_scan[scan].append(review)
    return by_scan


def _views(session: Session, found: Listed, studies: set[str]) -> Mapping[str, int]:
    counted = (
        select(Scan.study, func.count())
        .join(Prediction, Prediction.scan_id == Scan.id)
        .where(Scan.study.in_(studies), Prediction.checkpoint_id == found.checkpoint)
        .group_by(Scan.study)
    )
    return {str(study): int(views) for study, views in session.execute(counted)}
