"""The truth as readers decided it: which scans show a fracture and which do not, by the reviews in force."""

from collections.abc import Collection

from sqlalchemy import Select, case, func, select
from sqlalchemy.orm import Session

from screening.database.review_tables import Review


def reviewed(scan_ids: Collection[str] | None = None) -> Select[str, bool | None]:
    """A statement of (scan_id, fractured) over the scans that readers have reviewed, all or those of the given ones.

    Of each reader the latest review of a scan that is not withdrawn counts. fractured is NULL for a scan that is not
    decided: its readers are unsure, find the quality too poor, or disagree. One who decided outweighs one who did not.
    """
    in_force = [Review.withdrawn_at.is_(None)]
    if scan_ids is not None:
        in_force.append(Review.scan_id.in_(scan_ids))
    latest = select(func.max(Review.id)).where(*in_force).group_by(Review.scan_id, Review.reader)
    deciding = case((Review.verdict.in_(("fracture", "no_fracture")), Review.verdict))
    agreed = func.min(deciding) == func.max(deciding)
    return (
        select(Review.scan_id, case((agreed, func.min(deciding) == "fracture")).label("fractured"))
        .where(Review.id.in_(latest))
        .group_by(Review.scan_id)
    )


def truth_of(session: Session, scan_ids: Collection[str]) -> dict[str, bool | None]:
    """Whether those of these scans that were reviewed show a fracture; None where it is not decided.

    For a page of scans, a thousand or so at most: their ids go into the statement.
    """
    return dict(session.execute(reviewed(scan_ids)).all())
