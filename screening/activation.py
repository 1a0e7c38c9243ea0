"""Putting another checkpoint to use, and what that leaves to the former ones: told before, and as long as it lasts.

The worklist ranks what the checkpoint in use has screened. What only a former one has screened is not in it; where that
one flagged it, it stays at the end of the reading queue (`screening/worklist/former.py`) until it is read or screened.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.database.engine import Database
from screening.database.states import UNFINISHED_RUNS
from screening.database.tables import Checkpoint, Prediction, Run
from screening.errors import Conflict
from screening.rescreening.opening import Opened, open_over_archive
from screening.rescreening.selection import Selection
from screening.worklist.counts import COUNTED_UP_TO
from screening.worklist.filters import Filters
from screening.worklist.former import former_checkpoints, former_ids, left_by
from screening.worklist.sections import count_up_to, left_flagged

RUN_NAME = "What only former checkpoints have screened"


@dataclass(frozen=True)
class LeftBehind:
    """What former checkpoints have that this one has not. Scans are counted exactly up to COUNTED_UP_TO; one more than
    that stands for "more"."""

    checkpoint: str
    scans: int
    """That only former checkpoints have screened."""
    flagged_unread: int
    """Those of them that are flagged and that nobody has read; what must be looked at is not among them."""
    runs: int
    """That go on under a former checkpoint."""
    screened_by: int | None
    """The run that screens them by this checkpoint, while it goes on."""

    @property
    def needs_consent(self) -> bool:
        return bool(self.flagged_unread or self.runs)

    @property
    def sentence(self) -> str | None:
        """What comes with putting it to use, or None where nothing is left behind."""
        said = []
        if self.scans:
            number = _counted(self.scans)
            flagged = _counted(self.flagged_unread) if self.flagged_unread else "none"
            one = self.scans == 1
            which = "scan is" if one else "scans are"
            said.append(f"{number} {which} not screened by it, {flagged} of them flagged and unread")
        if self.runs:
            one = self.runs == 1
            said.append(f"{self.runs:,} {'run still goes' if one else 'runs still go'} on under a former checkpoint")
        told = "; ".join(said)
        return f"{told[0].upper()}{told[1:]}." if said else None


def left_behind(session: Session, checkpoint_id: str) -> LeftBehind:
    """What is left to former checkpoints by this one, or would be if it were put to use. Raises NotFound."""
    return with_live_runs(session, scans_left_behind(session, checkpoint_id))


def scans_left_behind(session: Session, checkpoint_id: str) -> LeftBehind:
    """The same without the runs. Raises NotFound.

    Predictions that were followed by those of this checkpoint are passed over one by one, which takes a second for a
    million of them.
    """
    checkpoints.get(session, checkpoint_id)
    formers = former_checkpoints(session, checkpoint_id)
    unread = Filters(to_read=True)
    scans = flagged = 0
    for number, former in enumerate(formers):
        only = select(Prediction.id).where(
            Prediction.checkpoint_id == former.checkpoint, left_by(checkpoint_id, formers, number)
        )
        scans += count_up_to(session, only, COUNTED_UP_TO)
        flagged += count_up_to(session, left_flagged(checkpoint_id, unread, formers, number), COUNTED_UP_TO)
    return LeftBehind(
        checkpoint=checkpoint_id,
        scans=min(scans, COUNTED_UP_TO + 1),
        flagged_unread=min(flagged, COUNTED_UP_TO + 1),
        runs=0,
        screened_by=None,
    )


def with_live_runs(session: Session, counted: LeftBehind) -> LeftBehind:
    """The same scans with the runs of this moment, which are few and cost next to nothing."""
    formers = former_ids(session, counted.checkpoint)
    live = select(func.count()).where(Run.checkpoint_id.in_(formers), Run.state.in_(UNFINISHED_RUNS))
    return replace(counted, runs=session.scalar(live) or 0, screened_by=_screening_run(session, counted.checkpoint))


def put_to_use(
    database: Database, now: datetime, checkpoint_id: str, actor: str, reason: str = "", leave_unscreened: bool = False
) -> Checkpoint:
    """Make this checkpoint the active one. What it leaves behind is counted before, outside of the transaction.

    Raises NotFound, and Conflict where flagged scans that nobody has read or live runs would be left to a former
    checkpoint, and `leave_unscreened` does not say that this is meant.
    """
    with database.read() as session:
        is_active = checkpoints.get(session, checkpoint_id).active
        left = None if is_active or leave_unscreened else left_behind(session, checkpoint_id)
    if left is not None and left.needs_consent:
        raise Conflict(
            "leaves_unscreened",
            f"{left.sentence} Screen the archive with it first, or say that this is meant: by the box on the page, "
            "`--leave-unscreened` on the command line, `leave_unscreened` over HTTP.",
        )
    with database.write() as session:
        return checkpoints.activate(session, now, checkpoint_id, actor, reason)


def screen_the_rest(session: Session, now: datetime, actor: str) -> Opened:
    """Open a run of the lane archive over what the active checkpoint has not screened yet.

    Raises Conflict where no checkpoint is active, such a run goes on already, or nothing is left that can be screened.
    """
    active = checkpoints.active(session)
    going_on = _screening_run(session, active.id)
    if going_on is not None:
        raise Conflict("being_screened", f"Run {going_on} screens these scans already. Its page shows how far it is.")
    opened = open_over_archive(session, now, RUN_NAME, active, Selection(), None, actor)
    if opened is None:
        raise Conflict(
            "nothing_left",
            "There is nothing that the checkpoint in use can still screen. Read what is left in the worklist's queue.",
        )
    return opened


def _screening_run(session: Session, checkpoint_id: str) -> int | None:
    return session.scalar(
        select(Run.id)
        .where(Run.checkpoint_id == checkpoint_id, Run.name == RUN_NAME, Run.state.in_(UNFINISHED_RUNS))
        .order_by(Run.id.desc())
        .limit(1)
    )


def _counted(number: int) -> str:
    return f"more than {COUNTED_UP_TO:,}" if number > COUNTED_UP_TO else f"{number:,}"
