"""Verdicts: what readers decide about scans. A verdict is added or withdrawn, never changed, and both are audited."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, Protocol, TypeVar

from sqlalchemy import exists, func, select, update
from sqlalchemy.orm import Session, aliased

from screening import audit
from screening.database.base import LARGEST_ID
from screening.database.review_tables import Review
from screening.errors import Conflict, NotFound, Refused
from screening.reviews.sampling import in_sample
from screening.scans import ScanPrediction, get_scan, predictions_of

Verdict = Literal["fracture", "no_fracture", "unsure", "poor_quality"]
VERDICTS: tuple[Verdict, ...] = ("fracture", "no_fracture", "unsure", "poor_quality")
LONGEST_COMMENT = 2000


class ByReader(Protocol):
    """What one reader decided, in any form."""

    @property
    def reader(self) -> str: ...


Decision = TypeVar("Decision", bound=ByReader)


def record(
    session: Session,
    now: datetime,
    scan_id: str,
    reader: str,
    verdict: str,
    comment: str | None,
    sample_rate: float,
    checkpoint_id: str | None = None,
) -> Review:
    """Add what this reader decided. A second verdict of the same reader takes the place of the first.

    `checkpoint_id` names the checkpoint whose result the reader was shown, and is empty where none was; without it, the
    active one, or else the latest. Its probability and the threshold in force are kept with the verdict, and of a
    sampled scan the rate. Raises NotFound, Refused.
    """
    if verdict not in VERDICTS:
        raise Refused("unknown_verdict", f"There is no verdict {verdict[:40]!r}. Choose one of {', '.join(VERDICTS)}.")
    comment = (comment or "").strip() or None
    if comment is not None and len(comment) > LONGEST_COMMENT:
        raise Refused("long_comment", f"A comment has at most {LONGEST_COMMENT:,} characters. Shorten it.")
    get_scan(session, scan_id)
    shown = _shown(predictions_of(session, scan_id), checkpoint_id)
    sampled = shown is not None and not shown.flagged and in_sample(scan_id, sample_rate)
    review = Review(
        scan_id=scan_id,
        reader=reader,
        verdict=verdict,
        comment=comment,
        checkpoint_id=shown.checkpoint if shown else None,
        probability=shown.probability if shown else None,
        threshold=shown.threshold if shown else None,
        sampled=sampled,
        sample_rate=sample_rate if sampled else None,
        reviewed_at=now,
    )
    session.add(review)
    session.flush()
    audit.record(session, now, reader, "review.recorded", scan_id, {"review": review.id, "verdict": verdict})
    return review


def _shown(predictions: Sequence[ScanPrediction], checkpoint_id: str | None) -> ScanPrediction | None:
    if checkpoint_id is None:
        return predictions[0] if predictions else None
    if not checkpoint_id:
        return None
    for prediction in predictions:
        if prediction.checkpoint == checkpoint_id:
            return prediction
    raise Refused(
        "not_shown",
        f"The checkpoint {checkpoint_id[:40]} has not screened this scan. Name one that has, or none.",
    )


def withdraw(session: Session, now: datetime, scan_id: str, review_id: int, reader: str) -> Review:
    """Take back one's own latest verdict about a scan; an earlier one, if there is any, counts again.

    Raises NotFound for no such review of this reader, Conflict where it is withdrawn already or a later one stands.
    """
    later = aliased(Review)
    review_id = min(review_id, LARGEST_ID)
    withdrawn = session.scalar(
        update(Review)
        .where(
            Review.id == review_id,
            Review.scan_id == scan_id,
            Review.reader == reader,
            Review.withdrawn_at.is_(None),
            ~exists().where(
                later.scan_id == scan_id, later.reader == reader, later.withdrawn_at.is_(None), later.id > review_id
            ),
        )
        .values(withdrawn_at=now)
        .returning(Review)
        .execution_options(synchronize_session=False)
    )
    if withdrawn is None:
        raise _not_withdrawn(session, scan_id, review_id, reader)
    audit.record(session, now, reader, "review.withdrawn", scan_id, {"review": review_id, "verdict": withdrawn.verdict})
    return withdrawn


def _not_withdrawn(session: Session, scan_id: str, review_id: int, reader: str) -> Exception:
    found = session.get(Review, review_id)
    if found is None or (found.scan_id, found.reader) != (scan_id, reader):
        return NotFound("unknown_review", "You have no such review of this scan. Only your own can be withdrawn.")
    if found.withdrawn_at is not None:
        return Conflict("withdrawn", "This review was withdrawn already. Nothing is left to undo.")
    return Conflict("not_latest", "You reviewed this scan again later. Withdraw that review first.")


def reviews_of(session: Session, scan_id: str) -> Sequence[Review]:
    """What counts of a scan: of every reader the latest review that is not withdrawn, in the order of time."""
    latest = (
        select(func.max(Review.id))
        .where(Review.scan_id == scan_id, Review.withdrawn_at.is_(None))
        .group_by(Review.reader)
    )
    return session.scalars(select(Review).where(Review.id.in_(latest)).order_by(Review.id)).all()


def seen_by(reviews: Sequence[Decision], reader: str) -> tuple[list[Decision], int]:
    """(the reviews that this reader may see, how many are kept back).

    Others' reviews are kept back until a reader has decided, so that readers agree or disagree independently.
    """
    if any(review.reader == reader for review in reviews):
        return list(reviews), 0
    return [], len(reviews)


def decided_by(session: Session, reader: str, scan_ids: Collection[str]) -> set[str]:
    """Those of these scans that this reader has decided about: what others say of them may be shown, see `seen_by`."""
    return set(
        session.scalars(
            select(Review.scan_id).where(
                Review.scan_id.in_(scan_ids), Review.reader == reader, Review.withdrawn_at.is_(None)
            )
        )
    )
