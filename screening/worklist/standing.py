"""What a list says of one scan: by which checkpoint, with what result, or why it must be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.database.tables import Job
from screening.errors import Conflict
from screening.scans import ScanPrediction, predictions_of
from screening.worklist.filters import Filters
from screening.worklist.sections import checkpoint_of, must_look_job


@dataclass(frozen=True)
class Standing:
    checkpoint: str | None
    """The one that the list is of; None where none is active."""
    shown: ScanPrediction | None
    """What it said of the scan."""
    others: Sequence[ScanPrediction]
    """What other checkpoints said."""
    problem: str | None
    """Why the scan must be looked at, if it must."""


def standing(session: Session, filters: Filters, scan: str) -> Standing:
    """As the list of these filters has it, so that nobody decides about another result than the one that was listed.

    A scan that stands in no list, because the checkpoint in use has not seen it yet, is shown with the latest result
    of another. Raises NotFound for an unknown run.
    """
    try:
        checkpoint = checkpoint_of(session, filters)
    except Conflict:
        checkpoint = None
    predictions = predictions_of(session, scan)
    shown = next((prediction for prediction in predictions if prediction.checkpoint == checkpoint), None)
    problem = None
    if shown is None and checkpoint is not None:
        problem = session.scalar(select(Job.problem).where(Job.id == must_look_job(checkpoint, filters.run, scan)))
    if shown is None and problem is None and filters.run is None:
        shown = next(iter(predictions), None)
    return Standing(checkpoint, shown, [other for other in predictions if other is not shown], problem)
