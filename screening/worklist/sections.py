"""What a worklist is made of, under given filters: the plain list, and the reading queue with its random sample.

In the queue a sampled scan stands at a rank that its id alone decides: ids are hashes, so the sample is spread evenly
over the ranks of what is flagged, the same at every look, and where a scan stands tells nothing about it. The rank
falls as the id rises, so that the sample is read by key along an index like every other part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    cast,
    func,
    null,
    or_,
    select,
    text,
)
from sqlalchemy.orm import Session, aliased

from screening.checkpoints import active, operating_point
from screening.database.states import NOT_SCREENED
from screening.database.tables import Checkpoint, Job, OperatingPointChange, Prediction, Run, Scan
from screening.reviews.sampling import sample_bound
from screening.runs.lifecycle import get_run
from screening.worklist.filters import (
    Filters,
    in_run,
    job_conditions,
    lacks,
    review_conditions,
    scan_conditions,
)
from screening.worklist.former import Former, former_checkpoints, left_by
from screening.worklist.parts import Part, Section

FEW = 2000
"""So many scans are sorted within milliseconds."""
_BEHIND_EVERY_ID = "g"
_ID_DIGITS = 12


@dataclass(frozen=True)
class Listed:
    """A list to be read: of which checkpoint, under which filters and thresholds, and its sections in order."""

    checkpoint: str
    filters: Filters
    point: OperatingPointChange
    sections: tuple[Section, ...]
    few: bool
    """Whether the filters leave so few scans that lists begin with them and not with the ranking."""
    formers: tuple[Former, ...] = ()
    """Of the parts of the last section, in the reading queue: what only these have screened, and flagged."""

    def point_of(self, section: int, part: int) -> OperatingPointChange:
        """The thresholds that bands are told by at a place of the list."""
        return self.formers[part].point if self.formers and section == len(self.sections) - 1 else self.point


def listed(session: Session, filters: Filters) -> Listed:
    """Raises NotFound for an unknown run, Conflict where no checkpoint is active."""
    plan_for_these_values(session)
    checkpoint = checkpoint_of(session, filters)
    point = operating_point(session, checkpoint)
    few = filters.of_scans and _are_few(session, filters)
    first, then = _must_look_part(checkpoint, filters, few), _ranked_parts(checkpoint, filters, point, few)
    if filters.band == "must_look":
        return Listed(checkpoint, filters, point, ((first,),), few)
    if filters.to_read and filters.run is None:
        formers = former_checkpoints(session, checkpoint)
        left = _former_parts(checkpoint, filters, formers, few)
        return Listed(checkpoint, filters, point, ((first,), then, left) if left else ((first,), then), few, formers)
    return Listed(checkpoint, filters, point, (then,) if filters.band else ((first,), then), few)


def checkpoint_of(session: Session, filters: Filters) -> str:
    """Whose results the list shows: the run's checkpoint, or else the active one. Raises as `listed` does."""
    return active(session).id if filters.run is None else get_run(session, filters.run).checkpoint_id


def _are_few(session: Session, filters: Filters) -> bool:
    return count_up_to(session, select(Scan.id).where(*scan_conditions(filters, Scan)), FEW) <= FEW


def _among(statement: Select[*tuple[Any, ...]], scan_id: Any, filters: Filters, few: bool) -> Select[*tuple[Any, ...]]:
    """Only scans that the filters leave: looked up first where they are few, else for each row in the list's order.

    PostgreSQL would choose between the two by its guess of how the filter and the ranking go together.
    """
    conditions = scan_conditions(filters, Scan)
    if not few:
        return statement.join(Scan, Scan.id == scan_id).where(*conditions)
    scans = select(Scan.id).where(*conditions).cte("few").prefix_with("MATERIALIZED")
    return statement.join(scans, scans.c.id == scan_id)


def plan_for_these_values(session: Session) -> None:
    """Until the transaction ends, PostgreSQL plans every statement for the values that it is given.

    A plan that is kept for any value takes all runs and body parts for equally large, and reads a large run whole for
    one page of it.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET LOCAL plan_cache_mode = force_custom_plan"))


def must_look(checkpoint: str, filters: Filters, few: bool = False) -> Select[*tuple[Any, ...]]:
    """Jobs without a result. Over all runs a scan is listed once, under the job that speaks for it."""
    screened = select(Prediction.id).where(Prediction.scan_id == Job.scan_id, Prediction.checkpoint_id == checkpoint)
    statement: Select[*tuple[Any, ...]] = select(
        Job.scan_id.label("scan"), Job.id.label("job"), null().label("probability")
    ).where(Job.state.in_(_not_screened()), lacks(screened), *review_conditions(filters, Job.scan_id, row_by_row=True))
    if filters.of_scans:
        statement = _among(statement, Job.scan_id, filters, few)
    if filters.run is not None:
        return statement.where(*job_conditions(filters, Job))
    return statement.where(_speaks(checkpoint))


def ranked(checkpoint: str, filters: Filters, few: bool = False) -> Select[*tuple[Any, ...]]:
    """Screened scans; in a run once for each name that a scan has there."""
    job = Job.id if filters.run is not None else cast(null(), Integer)
    statement: Select[*tuple[Any, ...]] = select(
        Prediction.scan_id.label("scan"), job.label("job"), Prediction.probability.label("probability")
    ).where(Prediction.checkpoint_id == checkpoint, *review_conditions(filters, Prediction.scan_id))
    if filters.run is not None:
        statement = statement.join(Job, Job.scan_id == Prediction.scan_id).where(*job_conditions(filters, Job))
    if filters.of_scans:
        statement = _among(statement, Prediction.scan_id, filters, few)
    if filters.by_study and (few or not filters.of_scans):
        statement = statement.join(Scan, Scan.id == Prediction.scan_id)
    return statement.where(_stands_for_its_study(checkpoint, filters)) if filters.by_study else statement


def _not_screened() -> BindParameter[list[str]]:
    """Written into the statement word by word, as the index has it: SQLite uses that of jobs that must be looked at for
    no value that it is given later."""
    return bindparam(None, [state.value for state in NOT_SCREENED], expanding=True, literal_execute=True)


def in_band(band: str | None, point: OperatingPointChange) -> list[ColumnElement[bool]]:
    """A band of the screened as conditions on the probability."""
    at_least = {"likely": point.likely_threshold, "possible": point.threshold, "flagged": point.threshold}
    below = {"possible": point.likely_threshold, "not_flagged": point.threshold}
    conditions = []
    if band in at_least:
        conditions.append(Prediction.probability >= at_least[band])
    if band in below:
        conditions.append(Prediction.probability < below[band])
    return conditions


def speaking_job(checkpoint: str, scan_id: Any) -> Any:
    """Over all runs a screened scan is listed once, under the latest job that it has: of this checkpoint's runs, if in
    any. One look at the jobs of one scan, whatever else is in the table.
    """
    job, run = aliased(Job), aliased(Run)
    own = case((run.checkpoint_id == checkpoint, 1), else_=0)
    latest = select(job.id).join(run, run.id == job.run_id).where(job.scan_id == scan_id)
    return latest.order_by(own.desc(), job.id.desc()).limit(1).scalar_subquery()


def must_look_job(checkpoint: str, run: int | None, scan_id: str) -> Any:
    """The job under which this scan must be looked at, if it must: of the run, or the one that speaks over all runs."""
    found = must_look(checkpoint, Filters(run=run)).where(Job.scan_id == scan_id)
    return found.with_only_columns(Job.id).order_by(Job.id.desc()).limit(1).scalar_subquery()


def _speaks(checkpoint: str) -> ColumnElement[bool]:
    """Whether this job without a result is the one that speaks for its scan: no other one goes before it.

    Only what ended without a result competes: a scan that is sent again is no less unscreened while that waits, is
    paused or was cancelled. Jobs of this checkpoint go before those of checkpoints that were in use before it, and the
    latest before earlier ones. A checkpoint that was never in use is only tried: where any other one was given the
    scan, what became of the trial is not told.
    """
    other = Job.__table__.alias("other")
    used = select(Checkpoint.id).where(or_(Checkpoint.active, Checkpoint.activated_at.is_not(None)))
    runs_of = {2: Run.checkpoint_id == checkpoint, 1: Run.checkpoint_id.in_(used)}

    def rank(run_id: Any) -> Any:
        return case(*((run_id.in_(select(Run.id).where(runs)), rank) for rank, runs in runs_of.items()), else_=0)

    mine, others, ended = rank(Job.run_id), rank(other.c.run_id), other.c.state.in_(_not_screened())
    goes_before = or_(
        and_(others > mine, or_(ended, mine == 0)),
        and_(others == mine, other.c.id > Job.id, ended),
    )
    return lacks(select(other.c.id).where(other.c.scan_id == Job.scan_id, goes_before))


def sampled(
    checkpoint: str, filters: Filters, point: OperatingPointChange, few: bool = False
) -> Select[*tuple[Any, ...]]:
    """The scans that are not flagged and are read all the same."""
    return ranked(checkpoint, filters, few).where(
        Prediction.probability < point.threshold, Prediction.scan_id < sample_bound(filters.sample_rate)
    )


def sample_rank(scan: str, rate: float, threshold: float) -> float:
    """Where a sampled scan stands among the flagged: from 1 for the first of ids down to the threshold for the last."""
    share = int(scan[:_ID_DIGITS], 16) / 16**_ID_DIGITS
    return 1 - (1 - threshold) * min(1.0, share / rate) if rate else 0.0


def _sample_key(rank: float, rate: float, threshold: float) -> str:
    """The id whose scan would stand at this rank."""
    share = rate * (1 - rank) / (1 - threshold) if threshold < 1 else 0.0
    steps = round(share * 16**_ID_DIGITS)
    return f"{steps:0{_ID_DIGITS}x}" if steps < 16**_ID_DIGITS else _BEHIND_EVERY_ID


def _must_look_part(checkpoint: str, filters: Filters, few: bool) -> Part:
    return Part(
        must_look(checkpoint, filters, few),
        {"job": Job.id},
        falling=False,
        rank=lambda row: -float(row.job),
        behind=lambda rank: (round(-rank),),
    )


def _ranked_parts(checkpoint: str, filters: Filters, point: OperatingPointChange, few: bool) -> Section:
    key: dict[str, Any] = {"probability": Prediction.probability, "scan": Prediction.scan_id}
    if filters.run is not None:
        key["job"] = Job.id

    def behind(rank: float) -> tuple[Any, ...]:
        return (rank, "", 0)[: len(key)]

    band = "flagged" if filters.to_read else filters.band
    statement = ranked(checkpoint, filters, few).where(*in_band(band, point))
    whole = Part(statement, key, falling=True, rank=lambda row: float(row.probability), behind=behind)
    if not filters.to_read:
        return (whole,)
    rate, threshold = filters.sample_rate, point.threshold
    sample_key: dict[str, Any] = {"scan": Prediction.scan_id}
    if filters.run is not None:
        sample_key["job"] = Job.id
    sample = Part(
        sampled(checkpoint, filters, point, few),
        sample_key,
        falling=False,
        rank=lambda row: sample_rank(row.scan, rate, threshold),
        behind=lambda rank: (_sample_key(rank, rate, threshold), 0)[: len(sample_key)],
    )
    return (whole, sample)


def left_flagged(
    checkpoint: str, filters: Filters, formers: Sequence[Former], number: int, few: bool = False
) -> Select[*tuple[Any, ...]]:
    """What one of the former checkpoints flags and no later one has screened, must look apart."""
    former, job = formers[number], aliased(Job)
    told = [checkpoint, *(one.checkpoint for one in formers)]
    must_be_looked_at = (
        select(job.id)
        .join(Run, Run.id == job.run_id)
        .where(job.scan_id == Prediction.scan_id, job.state.in_(_not_screened()), Run.checkpoint_id.in_(told))
    )
    flagged = ranked(former.checkpoint, filters, few).where(*in_band("flagged", former.point))
    return flagged.where(left_by(checkpoint, formers, number), lacks(must_be_looked_at))


def _former_parts(checkpoint: str, filters: Filters, formers: Sequence[Former], few: bool) -> Section:
    """Last in the queue: probabilities of two checkpoints do not compare, and pages before it cost no more."""
    return tuple(
        Part(
            left_flagged(checkpoint, filters, formers, number, few),
            {"probability": Prediction.probability, "scan": Prediction.scan_id},
            falling=True,
            rank=lambda row: float(row.probability),
            behind=lambda rank: (rank, ""),
        )
        for number in range(len(formers))
    )


def _stands_for_its_study(checkpoint: str, filters: Filters) -> ColumnElement[bool]:
    """No other scan of the study, under the same filters but the band, has a higher place in the list."""
    other, view = aliased(Prediction), aliased(Scan)
    higher = or_(
        other.probability > Prediction.probability,
        and_(other.probability == Prediction.probability, other.scan_id > Prediction.scan_id),
    )
    conditions = [*scan_conditions(filters, view), *review_conditions(filters, view.id)]
    if filters.run is not None:
        conditions.append(in_run(filters, view.id))
    views = select(view.id).where(
        view.study == Scan.study, other.scan_id == view.id, other.checkpoint_id == checkpoint, higher, *conditions
    )
    return or_(Scan.study.is_(None), lacks(views.correlate(Scan, Prediction)))


def count_up_to(session: Session, statement: Select[*tuple[Any, ...]], most: int) -> int:
    """How many rows a statement gives, or `most` + 1 for more than `most`: counting never reads a whole archive."""
    bounded = statement.order_by(None).limit(most + 1).subquery()
    return session.scalar(select(func.count()).select_from(bounded)) or 0
