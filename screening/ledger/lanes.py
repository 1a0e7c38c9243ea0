"""In which lane a rendition waits: that of the most urgent live run whose jobs wait for it."""

from sqlalchemy import ColumnElement, ScalarSelect, func, select, update
from sqlalchemy.orm import Session

from screening.database.states import JobState, RunState, WorkState
from screening.database.tables import Checkpoint, Job, Rendition, Run


def needed_lane() -> ScalarSelect[int]:
    """The lane in which a rendition (of the enclosing statement) is needed, or NULL where no job waits for it.

    A few looks into indexes for each rendition. Live runs are told apart only after that: as a condition of the join it
    makes PostgreSQL read all runs for each rendition, where few are live.
    """
    return (
        select(func.min(Run.lane).filter(Run.state != RunState.CANCELLED))
        .select_from(Job)
        .join(Run, Run.id == Job.run_id)
        .join(Checkpoint, Checkpoint.id == Run.checkpoint_id)
        .where(
            Job.scan_id == Rendition.scan_id,
            Job.state == JobState.PREPARING,
            Checkpoint.rendition_spec == Rendition.spec,
        )
        .correlate(Rendition)
        .scalar_subquery()
    )


def settle_lanes(session: Session, *conditions: ColumnElement[bool]) -> None:
    """Put these renditions into the lane in which they are needed; those that no job waits for stay where they are.

    Who sends a rendition back to wait does so first, in a statement of its own: that one waits for whoever asks for
    the same rendition at this moment, and this one then sees the job.
    """
    session.execute(
        update(Rendition)
        .where(Rendition.state.in_((WorkState.WAITING, WorkState.WORKING)), *conditions)
        .values(lane=func.coalesce(needed_lane(), Rendition.lane)),
        execution_options={"synchronize_session": False},
    )
