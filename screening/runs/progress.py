"""How far a run has come, counted in SQL."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from screening.checkpoints import operating_point
from screening.database.states import LIVE_RUNS, NOT_SCREENED, UNFINISHED, JobState, WorkState
from screening.database.tables import Container, Job, Prediction, Run
from screening.runs.receipts import rejected_files

RATE_OVER = timedelta(seconds=20)
_WITH_A_FINISH = (JobState.SCREENED, *NOT_SCREENED)


@dataclass(frozen=True)
class Progress:
    """Counts of a run's jobs by state, and how fast they move.

    `refused` counts files that were refused at the door, which never became jobs; `total` counts jobs.
    """

    total: int
    preparing: int
    queued: int
    screening: int
    screened: int
    rejected: int
    failed: int
    cancelled: int
    likely: int
    possible: int
    refused: int
    unpacking: int
    rate_per_s: float | None
    """Jobs that ended per second, over the last 20 seconds (or since the run began, where that is less)."""
    eta_s: float | None
    oldest_waiting_s: float | None
    waiting_since: datetime | None
    """When the job that waits longest came; `oldest_waiting_s` is its age."""

    @property
    def flagged(self) -> int:
        return self.likely + self.possible

    @property
    def no_result(self) -> int:
        """Files that were rejected, and scans that came to no prediction."""
        return self.rejected + self.failed + self.refused

    @property
    def unfinished(self) -> int:
        return self.preparing + self.queued + self.screening


def progress_of(session: Session, now: datetime, run: Run) -> Progress:
    """Count one run. Three short statements; nothing is kept in memory between calls."""
    by_state = {
        row.state: (row.number, row.oldest)
        for row in session.execute(
            select(Job.state, func.count().label("number"), func.min(Job.created_at).label("oldest"))
            .where(Job.run_id == run.id)
            .group_by(Job.state)
        )
    }

    def number(state: JobState) -> int:
        return int(by_state.get(state, (0, None))[0])

    point = operating_point(session, run.checkpoint_id)
    # The sum keeps SQLite from going through every flagged scan of the installation in the index of probabilities:
    # the jobs of the run are what is few.
    probability = Prediction.probability + 0.0
    flagged, likely = session.execute(
        select(func.count(), func.count().filter(probability >= point.likely_threshold))
        .select_from(Job)
        .join(Prediction, (Prediction.scan_id == Job.scan_id) & (Prediction.checkpoint_id == run.checkpoint_id))
        .where(
            Job.run_id == run.id,
            Job.state == JobState.SCREENED,
            probability >= point.threshold,
        )
    ).one()
    refused = rejected_files(session, [run.id]).get(run.id, 0)
    unpacking = session.scalar(
        select(func.count()).where(
            Container.run_id == run.id, Container.state.in_((WorkState.WAITING, WorkState.WORKING))
        )
    )
    unfinished = sum(number(state) for state in UNFINISHED)
    rate = _rate(session, now, run) if run.state in LIVE_RUNS else None
    waiting_since = [by_state[state][1] for state in UNFINISHED if state in by_state]
    return Progress(
        total=sum(count for count, _ in by_state.values()),
        preparing=number(JobState.PREPARING),
        queued=number(JobState.QUEUED),
        screening=number(JobState.SCREENING),
        screened=number(JobState.SCREENED),
        rejected=number(JobState.REJECTED),
        failed=number(JobState.FAILED),
        cancelled=number(JobState.CANCELLED),
        likely=likely,
        possible=flagged - likely,
        refused=refused,
        unpacking=unpacking or 0,
        rate_per_s=rate,
        eta_s=round(unfinished / rate, 1) if rate and unfinished else None,
        oldest_waiting_s=round((now - min(waiting_since)).total_seconds(), 1) if waiting_since else None,
        waiting_since=min(waiting_since) if waiting_since else None,
    )


def counts_by_state(session: Session, run_ids: Sequence[int]) -> dict[int, dict[str, int]]:
    """How many jobs of each of these runs are in which state; one statement for a page of runs."""
    counts: dict[int, dict[str, int]] = {run_id: {} for run_id in run_ids}
    for run_id, state, number in session.execute(
        select(Job.run_id, Job.state, func.count()).where(Job.run_id.in_(run_ids)).group_by(Job.run_id, Job.state)
    ):
        counts[run_id][state] = number
    return counts


def problem_jobs(session: Session, run_id: int, limit: int) -> Sequence[Job]:
    """Jobs of a run that ended without a prediction, in the order of arrival; each has its reason."""
    return session.scalars(
        select(Job).where(Job.run_id == run_id, Job.state.in_(NOT_SCREENED)).order_by(Job.id).limit(limit)
    ).all()


def _rate(session: Session, now: datetime, run: Run) -> float | None:
    since = max(now - RATE_OVER, run.created_at)
    seconds = (now - since).total_seconds()
    if seconds < 1:
        return None
    ended = session.scalar(
        select(func.count()).where(Job.run_id == run.id, Job.finished_at > since, Job.state.in_(_WITH_A_FINISH))
    )
    return round((ended or 0) / seconds, 2) if ended else None
