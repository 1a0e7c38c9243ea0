"""Rows that contradict each other: found by one statement each, told in a sentence, and mended where that is safe.

None of this should ever happen. It is looked for because a restored disk, a hand in the database or a mistake of ours
would otherwise make a scan wait for ever, which nobody sees.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, insert, literal, or_, select, text, update
from sqlalchemy.orm import InstrumentedAttribute, Session

from screening import audit
from screening.database.engine import Database
from screening.database.inserting import insert_into
from screening.database.states import UNFINISHED, JobState, RunState, WorkState
from screening.database.tables import Checkpoint, Container, Job, Prediction, Receipt, Rendition, Run
from screening.database.transactions import committed
from screening.ledger.lanes import needed_lane, settle_lanes
from screening.ledger.sweeping import sweep

OVERDUE = timedelta(minutes=1)
"""The sweep takes an expired lease back within seconds."""
_PLAIN: dict[str, Any] = {"synchronize_session": False}


@dataclass(frozen=True)
class Finding:
    """One kind of contradiction that was found: how often, what it means, and what is or was done."""

    code: str
    count: int
    sentence: str
    mended: bool


@dataclass(frozen=True)
class _Check:
    code: str
    found: str
    """Goes after the number."""
    step: str
    rows: Callable[[datetime], Select[Any]]
    mend: Callable[[Session, datetime, int], None]


def check_rows(database: Database, now: datetime, max_attempts: int, actor: str, *, repair: bool) -> list[Finding]:
    """Look for every contradiction and, with `repair`, mend it, each in a transaction of its own with its audit."""
    found = [_damage(database)] if database.is_sqlite else []
    for check in _CHECKS:
        with database.read() as session:
            count = session.scalar(select(func.count()).select_from(check.rows(now).subquery())) or 0
        if count == 0:
            continue
        if repair:
            committed(
                database,
                lambda session, check=check, count=count: _mend(  # type: ignore[misc]
                    session, check, now, max_attempts, actor, count
                ),
            )
        step = "It was mended: " if repair else "`screening doctor --repair` mends it: "
        found.append(Finding(check.code, count, f"{count:,} {check.found} {step}{check.step}.", repair))
    return [finding for finding in found if finding.count]


def _mend(session: Session, check: _Check, now: datetime, max_attempts: int, actor: str, count: int) -> None:
    check.mend(session, now, max_attempts)
    audit.record(session, now, actor, f"repaired.{check.code}", "database", {"count": count})


def _damage(database: Database) -> Finding:
    with database.read() as session:
        wrong = [row[0] for row in session.execute(text("PRAGMA quick_check(10)")) if row[0] != "ok"]
        dangling = session.execute(text("PRAGMA foreign_key_check")).all()
    sentence = "The database file is damaged. Stop everything and restore the last backup: `screening restore`."
    return Finding("database_damaged", len(wrong) + len(dangling), sentence, False)


def _needed(state: WorkState | None = None) -> ColumnElement[bool]:
    """Whether the rendition that a job needs is there, in this state if one is named."""
    needed = _of_needed(Rendition.scan_id)
    return exists(needed if state is None else needed.where(Rendition.state == state))


def _of_needed(column: InstrumentedAttribute[Any]) -> Select[Any]:
    """This column of the rendition that a job (of the enclosing statement) needs."""
    return (
        select(column)
        .join(Checkpoint, Checkpoint.rendition_spec == Rendition.spec)
        .join(Run, Run.checkpoint_id == Checkpoint.id)
        .where(Run.id == Job.run_id, Rendition.scan_id == Job.scan_id)
        .correlate(Job)
    )


def _in_live_run() -> ColumnElement[bool]:
    return Job.run_id.in_(select(Run.id).where(Run.state != RunState.CANCELLED))


def _unpredicted(_: datetime) -> Select[Any]:
    predicted = exists(
        select(Prediction.id)
        .join(Run, Run.checkpoint_id == Prediction.checkpoint_id)
        .where(Run.id == Job.run_id, Prediction.scan_id == Job.scan_id)
    )
    return select(Job.id).where(Job.state == JobState.SCREENED, _in_live_run(), ~predicted)


def _prepare_again(session: Session, now: datetime, _: int) -> None:
    again = {"state": JobState.PREPARING, "attempts": 0, "finished_at": None}
    session.execute(update(Job).where(Job.id.in_(_unpredicted(now))).values(again), execution_options=_PLAIN)


def _jobless(_: datetime) -> Select[Any]:
    has_job = exists().where(
        Job.run_id == Receipt.run_id, Job.scan_id == Receipt.scan_id, Job.file_name == Receipt.file_name
    )
    live = Receipt.run_id.in_(select(Run.id).where(Run.state != RunState.CANCELLED))
    columns: list[Any] = [Receipt.run_id, Receipt.scan_id, Receipt.file_name]
    return select(*columns).where(
        Receipt.status.in_(("accepted", "duplicate")), Receipt.scan_id.is_not(None), live, ~has_job
    )


def _add_jobs(session: Session, now: datetime, _: int) -> None:
    missing = _jobless(now).add_columns(literal(JobState.PREPARING.value), literal(0), literal(now))
    columns = ["run_id", "scan_id", "file_name", "state", "attempts", "created_at"]
    session.execute(insert(Job).from_select(columns, missing, include_defaults=False))


def _preparing(condition: ColumnElement[bool]) -> Select[Any]:
    return select(Job.id).where(Job.state == JobState.PREPARING, _in_live_run(), condition)


def _add_renditions(session: Session, now: datetime, _: int) -> None:
    wanted = (
        select(Job.scan_id, Checkpoint.rendition_spec, literal(WorkState.WAITING.value), func.min(Run.lane),
               literal(now), literal(0))
        .join(Run, Run.id == Job.run_id)
        .join(Checkpoint, Checkpoint.id == Run.checkpoint_id)
        .where(Job.id.in_(_preparing(~_needed())))
        .group_by(Job.scan_id, Checkpoint.rendition_spec)
    )  # fmt: skip
    columns = ["scan_id", "spec", "state", "lane", "queued_at", "attempts"]
    statement = insert_into(session, Rendition).from_select(columns, wanted, include_defaults=False)
    session.execute(statement.on_conflict_do_nothing())


def _queue(session: Session, _now: datetime, _: int) -> None:
    ready = Job.id.in_(_preparing(_needed(WorkState.READY)))
    session.execute(update(Job).where(ready).values(state=JobState.QUEUED), execution_options=_PLAIN)


def _reject(session: Session, now: datetime, _: int) -> None:
    values: dict[str, Any] = {
        "state": JobState.REJECTED,
        "finished_at": now,
        "problem_code": _of_needed(Rendition.problem_code).scalar_subquery(),
        "problem": _of_needed(Rendition.problem).scalar_subquery(),
    }
    rejected = Job.id.in_(_preparing(_needed(WorkState.REJECTED)))
    session.execute(update(Job).where(rejected).values(values), execution_options=_PLAIN)


def _less_urgent(_: datetime) -> Select[Any]:
    columns: list[Any] = [Rendition.scan_id, Rendition.spec]
    return select(*columns).where(Rendition.state == WorkState.WAITING, needed_lane() < Rendition.lane)


def _hurry(session: Session, _now: datetime, _: int) -> None:
    settle_lanes(session, needed_lane() < Rendition.lane)


def _ended_runs(state: RunState) -> Callable[[datetime], Select[Any]]:
    left = exists().where(Job.run_id == Run.id, Job.state.in_(UNFINISHED))
    return lambda _: select(Run.id).where(Run.state == state, left)


def _reopen(session: Session, now: datetime, _: int) -> None:
    runs = Run.id.in_(_ended_runs(RunState.COMPLETE)(now))
    session.execute(update(Run).where(runs).values(state=RunState.RUNNING, finished_at=None), execution_options=_PLAIN)


def _cancel_jobs(session: Session, now: datetime, _: int) -> None:
    in_cancelled = Job.run_id.in_(select(Run.id).where(Run.state == RunState.CANCELLED))
    ended = {"state": JobState.CANCELLED, "finished_at": now, "lease_token": None, "lease_until": None}
    session.execute(update(Job).where(Job.state.in_(UNFINISHED), in_cancelled).values(ended), execution_options=_PLAIN)


_CLAIMED = ((Job, JobState.SCREENING), (Rendition, WorkState.WORKING), (Container, WorkState.WORKING))


def _overdue(now: datetime) -> Select[Any]:
    parts = [
        select(literal(table.__tablename__)).where(
            table.state == state, or_(table.lease_until.is_(None), table.lease_until < now - OVERDUE)
        )
        for table, state in _CLAIMED
    ]
    return select(parts[0].union_all(*parts[1:]).subquery())


def _sweep(session: Session, now: datetime, max_attempts: int) -> None:
    for table, state in _CLAIMED:
        endless = update(table).where(table.state == state, table.lease_until.is_(None))
        session.execute(endless.values(lease_until=now - OVERDUE), execution_options=_PLAIN)
    sweep(session, now, max_attempts)


# The order matters: what one sends back, the later ones put where it belongs.
_CHECKS = (
    _Check("screened_without_result", "jobs are screened but have no prediction.", "they are screened again",
           _unpredicted, _prepare_again),
    _Check("accepted_without_job", "accepted files have no job in their run.", "they get one", _jobless, _add_jobs),
    _Check("cancelled_with_work", "runs are cancelled but have unfinished jobs.", "the jobs are cancelled",
           _ended_runs(RunState.CANCELLED), _cancel_jobs),
    _Check("preparing_without_rendition", "jobs wait for a rendition that nobody makes.", "it is made",
           lambda _: _preparing(~_needed()), _add_renditions),
    _Check("preparing_though_ready", "jobs wait for a rendition that is ready.", "they are queued",
           lambda _: _preparing(_needed(WorkState.READY)), _queue),
    _Check("preparing_though_rejected", "jobs wait for a rendition that was rejected.", "they get its reason",
           lambda _: _preparing(_needed(WorkState.REJECTED)), _reject),
    _Check("waiting_less_urgently", "renditions wait in a less urgent lane than a run that needs them.",
           "they wait in its lane", _less_urgent, _hurry),
    _Check("complete_with_work", "runs are complete but have unfinished jobs.", "they go on",
           _ended_runs(RunState.COMPLETE), _reopen),
    _Check("overdue", "pieces of claimed work have a lease that ended over a minute ago; does `upkeep` run?",
           "the work is free again", _overdue, _sweep),
)  # fmt: skip
