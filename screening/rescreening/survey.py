"""What a selection holds before a run is opened over it: what is screened already, and what cannot be screened."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, case, exists, func, or_, select
from sqlalchemy.orm import Session

from screening.database.states import JobState, WorkState
from screening.database.tables import Checkpoint, Job, Prediction, Rendition, Run, Scan
from screening.ledger.reviving import WITHOUT_ORIGINAL
from screening.rescreening.selection import Selection


@dataclass(frozen=True)
class Survey:
    """Counts of the selected scans; each is in one of them."""

    screened: int
    """By this checkpoint, already."""
    failed: int
    """Set aside by it before."""
    rejected: int
    """No rendition can be made of them."""
    without_original: int
    """The rendition that this checkpoint needs is not there, and neither is the original to make it from."""
    left: int
    """All others: what a run is opened for."""

    @property
    def selected(self) -> int:
        return self.screened + self.failed + self.rejected + self.without_original + self.left

    @property
    def left_out(self) -> int:
        return self.failed + self.rejected + self.without_original

    @property
    def remark(self) -> str | None:
        """A sentence for people about what the run leaves out unscreened; None where that is nothing."""
        parts = [
            (self.without_original, "because their originals are gone and other renditions are needed"),
            (self.rejected, "because they were rejected"),
            (self.failed, "because screening them failed before"),
        ]
        why = [f"{number:,} {reason}" for number, reason in parts if number]
        if not why:
            return None
        return (
            f"Of {self.selected:,} selected scans {self.screened:,} were screened by this checkpoint before. "
            f"Left out are {', '.join(why)}."
        )


def survey(session: Session, now: datetime, checkpoint: Checkpoint, selection: Selection) -> Survey:
    """One statement over the selected scans. Raises Conflict for a band where no checkpoint is active."""
    failed = exists().where(
        Job.scan_id == Scan.id,
        Job.state == JobState.FAILED,
        Job.run_id.in_(select(Run.id).where(Run.checkpoint_id == checkpoint.id)),
    )
    rejected = and_(Rendition.state == WorkState.REJECTED, Rendition.problem_code.not_in(WITHOUT_ORIGINAL))
    not_there = or_(Rendition.state.is_(None), Rendition.state != WorkState.READY)
    kind = case(
        (Prediction.id.is_not(None), "screened"),
        (failed, "failed"),
        (rejected, "rejected"),
        (and_(Scan.original_removed_at.is_not(None), not_there), "without_original"),
        else_="left",
    ).label("kind")
    selected = (
        select(kind)
        .select_from(Scan)
        .outerjoin(Prediction, and_(Prediction.scan_id == Scan.id, Prediction.checkpoint_id == checkpoint.id))
        .outerjoin(Rendition, and_(Rendition.scan_id == Scan.id, Rendition.spec == checkpoint.rendition_spec))
        .where(Scan.erased_at.is_(None), *selection.conditions(session, now))
        .subquery()
    )
    rows = session.execute(select(selected.c.kind, func.count()).group_by(selected.c.kind))
    counted: dict[str, int] = {row.kind: row[1] for row in rows}
    names = ("screened", "failed", "rejected", "without_original", "left")
    return Survey(**{name: counted.get(name, 0) for name in names})
