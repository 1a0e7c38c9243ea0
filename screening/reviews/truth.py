"""The truth as readers decided it: which scans show a fracture and which do not, by the reviews in force."""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Select, and_, case, exists, false, func, select, union
from sqlalchemy.orm import Session, aliased

from screening.database.review_tables import Review
from screening.reviews.decisions import Decision


def reviewed(scan_ids: Collection[str] | None = None) -> Select[str, bool | None]:
    """A statement of (scan_id, fractured) over the scans that readers have reviewed, all or those of the given ones.

    Of each reader the latest review of a scan that is not withdrawn counts. fractured is NULL for a scan that is not
    decided: its readers are unsure, find the quality too poor, or disagree. One who decided outweighs one who did not.
    """
    in_force = [Review.withdrawn_at.is_(None)]
    if scan_ids is not None:
        in_force.append(Review.scan_id.in_(scan_ids))
    latest = select(func.max(Review.id)).where(*in_force).group_by(Review.scan_id, Review.reader)
    agreed = _agreed(Review)
    return (
        select(Review.scan_id, (agreed == "fracture").label("fractured"))
        .where(Review.id.in_(latest))
        .group_by(Review.scan_id)
    )


def may_be_decided(decision: Decision) -> Select[str] | CompoundSelect[str]:
    """The scans with verdicts of which this decision may come: a statement of scan_id that a list can begin with."""

    def with_verdict(*verdicts: str) -> Select[str]:
        return select(Review.scan_id).where(Review.withdrawn_at.is_(None), Review.verdict.in_(verdicts))

    if decision != "undecided":
        return with_verdict(decision)
    other = aliased(Review)
    disputed = exists().where(
        other.scan_id == Review.scan_id, other.withdrawn_at.is_(None), other.verdict == "no_fracture"
    )
    return union(with_verdict("unsure", "poor_quality"), with_verdict("fracture").where(disputed))


def is_decided(scan_id: Any, decision: Decision) -> ColumnElement[bool]:
    """Whether this is what the readers of a scan decided: looked up row by row, whatever column gives the scan."""
    own, later = aliased(Review), aliased(Review)
    superseded = exists().where(
        later.scan_id == own.scan_id, later.reader == own.reader, later.withdrawn_at.is_(None), later.id > own.id
    )
    agreed = _agreed(own)
    said = and_(func.count() > 0, agreed.is_(None)) if decision == "undecided" else agreed == decision
    of_scan = select(said).where(own.scan_id == scan_id, own.withdrawn_at.is_(None), ~superseded)
    # PostgreSQL guesses that half of the rows pass, and so reads no more reviews than a page needs.
    return func.coalesce(of_scan.scalar_subquery(), false())


def _agreed(review: Any) -> Any:
    """Of the reviews of a scan: what those who decided agree on, else NULL."""
    deciding = case((review.verdict.in_(("fracture", "no_fracture")), review.verdict))
    return case((func.min(deciding) == func.max(deciding), func.min(deciding)))


def truth_of(session: Session, scan_ids: Collection[str]) -> dict[str, bool | None]:
    """Whether those of these scans that were reviewed show a fracture; None where it is not decided.

    For a page of scans, a thousand or so at most: their ids go into the statement.
    """
    return dict(session.execute(reviewed(scan_ids)).all())
