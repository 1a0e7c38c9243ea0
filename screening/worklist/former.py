"""What only former checkpoints have screened: as long as nobody read it, it must not be lost from sight.

Of several former checkpoints the last one that screened a scan speaks for it, and its threshold in force decides
whether the scan is flagged.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session, aliased

from screening.checkpoints import operating_point
from screening.database.tables import Checkpoint, OperatingPointChange, Prediction
from screening.worklist.filters import lacks


@dataclass(frozen=True)
class Former:
    checkpoint: str
    point: OperatingPointChange


def former_checkpoints(session: Session, checkpoint: str) -> tuple[Former, ...]:
    """The former ones with their thresholds in force, in the order of `former_ids`."""
    return tuple(Former(former, operating_point(session, former)) for former in former_ids(session, checkpoint))


def former_ids(session: Session, checkpoint: str) -> Sequence[str]:
    """Which ones were in use before this one, the latest first. For one that is not in use yet, the active one leads.

    A checkpoint that never was in use, such as a candidate, is none of them.
    """
    was_used = or_(Checkpoint.active, Checkpoint.activated_at.is_not(None))
    return session.scalars(
        select(Checkpoint.id)
        .where(was_used, Checkpoint.id != checkpoint)
        .order_by(Checkpoint.active.desc(), Checkpoint.activated_at.desc(), Checkpoint.id)
    ).all()


def left_by(checkpoint: str, formers: Sequence[Former], number: int) -> ColumnElement[bool]:
    """Of the predictions of one of the former checkpoints: neither `checkpoint` nor a later former one has screened
    the scan."""
    later = [checkpoint, *(former.checkpoint for former in formers[:number])]
    other = aliased(Prediction)
    return lacks(select(other.id).where(other.scan_id == Prediction.scan_id, other.checkpoint_id.in_(later)))
