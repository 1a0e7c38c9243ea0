"""What a list says of one scan: by which checkpoint, with what result, or why it must be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening.database.tables import Job
from screening.errors import Conflict
from screening.scans import ScanPrediction, predictions_of
from screening.worklist.filters import Filters
from screening.worklist.former import former_ids
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

    A scan that the checkpoint in use has not seen is shown with the result of the last former one that has, as the end
    of the reading queue lists it; of those that were never in use, the latest is shown. Raises NotFound for an unknown
    run.
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
        shown = _of_a_former(predictions, former_ids(session, checkpoint or ""))
    return Standing(checkpoint, shown, [other for other in predictions if other is not shown], problem)


def _of_a_former(predictions: Sequence[ScanPrediction], formers: Sequence[str]) -> ScanPrediction | None:
    by_checkpoint = {prediction.checkpoint: prediction for prediction in predictions}
    told = (by_checkpoint[former] for former in formers if former in by_checkpoint)
    return next(told, next(iter(predictions), None))
