"""Renditions: claimed, made or refused. What a finished rendition means for the jobs that wait for it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, select, tuple_, update
from sqlalchemy.orm import Session

from screening.database.states import UNFINISHED, JobState, RunState, WorkState
from screening.database.tables import Checkpoint, Job, Rendition, Run, Scan
from screening.ledger.due import due_renditions
from screening.ledger.lanes import settle_lanes
from screening.ledger.lease import Lease, after_attempts
from screening.ledger.reviving import ORIGINAL_MISSING_CODE, note_missing_original


@dataclass(frozen=True)
class RenditionClaim:
    """One rendition to be made by the holder of the lease."""

    scan_id: str
    sha256: str
    spec: str
    attempts: int
    """How often it was tried, this time included."""


@dataclass(frozen=True)
class PreparedScan:
    """What was learned of a scan while its rendition was made."""

    scan_id: str
    spec: str
    width: int
    height: int
    study: str | None
    modality: str | None
    body_part: str | None
    view: str | None
    laterality: str | None
    facts: dict[str, Any]


def claim_renditions(session: Session, lease: Lease, now: datetime, limit: int) -> list[RenditionClaim]:
    """Claim up to `limit` waiting renditions, the most urgent lane and the least tried first.

    Those that were tried before come in smaller numbers (see `after_attempts`), so that one that ends its worker is
    soon alone. Those of the lane archive wait while no run needs them that is not paused, such as outside a schedule's
    window (see `due`).
    """
    rows = due_renditions(session, limit)
    if not rows:
        return []
    attempts = rows[0].attempts
    alike = [(row.scan_id, row.spec) for row in rows if row.attempts == attempts]
    chosen = alike[: after_attempts(limit, attempts)]
    session.execute(
        update(Rendition)
        .where(*these_renditions(chosen), Rendition.state == WorkState.WAITING)
        .values(
            state=WorkState.WORKING,
            lease_token=lease.token,
            lease_until=lease.until,
            attempts=Rendition.attempts + 1,
        )
    )
    claimed = session.execute(
        select(Rendition.scan_id, Scan.sha256, Rendition.spec, Rendition.attempts)
        .join(Scan, Scan.id == Rendition.scan_id)
        .where(*these_renditions(chosen), Rendition.lease_token == lease.token)
    )
    return [RenditionClaim(*row) for row in claimed]


_LEARNED = ("study", "modality", "body_part", "view", "laterality", "facts")
# Made once and run for all scans of a batch: to put a statement together costs SQLAlchemy more than to run it.
_MEASURE = (
    update(Rendition)
    .where(Rendition.scan_id == bindparam("of_scan"), Rendition.spec == bindparam("of_spec"))
    .values(width=bindparam("new_width"), height=bindparam("new_height"))
)
_LEARN = (
    update(Scan).where(Scan.id == bindparam("of_scan")).values({name: bindparam(f"new_{name}") for name in _LEARNED})
)


def record_ready(session: Session, lease: Lease, now: datetime, prepared: Sequence[PreparedScan]) -> list[str]:
    """Record finished renditions and queue their jobs. Returns the scans that this lease still held."""
    if not prepared:
        return []
    finished = {(item.scan_id, item.spec): item for item in prepared}
    held = session.execute(
        update(Rendition)
        .where(*these_renditions(finished), *_held_by(lease))
        .values(state=WorkState.READY, finished_at=now, lease_token=None, lease_until=None)
        .returning(Rendition.scan_id, Rendition.spec),
        execution_options={"synchronize_session": False},
    )
    still = {(scan_id, spec) for scan_id, spec in held}
    kept = [item for key, item in finished.items() if key in still]
    if not kept:
        return []
    connection = session.connection()
    connection.execute(
        _MEASURE,
        [
            {"of_scan": item.scan_id, "of_spec": item.spec, "new_width": item.width, "new_height": item.height}
            for item in kept
        ],
    )
    connection.execute(
        _LEARN,
        [{"of_scan": item.scan_id, **{f"new_{name}": getattr(item, name) for name in _LEARNED}} for item in kept],
    )
    for spec in sorted({item.spec for item in kept}):
        session.execute(
            update(Job)
            .where(
                Job.scan_id.in_([item.scan_id for item in kept if item.spec == spec]),
                Job.state == JobState.PREPARING,
                Job.run_id.in_(runs_with_spec(spec)),
            )
            .values(state=JobState.QUEUED),
            execution_options={"synchronize_session": False},
        )
    return [item.scan_id for item in kept]


def record_rejected(
    session: Session, lease: Lease, now: datetime, scan_id: str, spec: str, code: str, reason: str
) -> bool:
    """Record that a scan cannot be screened, and tell so to every job that waits for it."""
    held = session.scalar(
        update(Rendition)
        .where(*_held(lease, scan_id, spec))
        .values(
            state=WorkState.REJECTED,
            problem_code=code,
            problem=reason,
            finished_at=now,
            lease_token=None,
            lease_until=None,
        )
        .returning(Rendition.scan_id)
    )
    if held is None:
        return False
    if code == ORIGINAL_MISSING_CODE:
        note_missing_original(session, now, scan_id)
    reject_jobs(session, now, scan_id, spec, code, reason)
    return True


def reject_jobs(session: Session, now: datetime, scan_id: str, spec: str, code: str, reason: str) -> None:
    """End every unfinished job of this scan that needs this rendition."""
    session.execute(
        update(Job)
        .where(Job.scan_id == scan_id, Job.state.in_(UNFINISHED), Job.run_id.in_(runs_with_spec(spec)))
        .values(
            state=JobState.REJECTED,
            problem_code=code,
            problem=reason,
            finished_at=now,
            lease_token=None,
            lease_until=None,
        )
    )


def put_back(session: Session, lease: Lease, scan_id: str, spec: str) -> None:
    """Have a claimed rendition tried again; the attempt stays counted."""
    _wait_again(session, _held(lease, scan_id, spec), {})


def put_back_untried(session: Session, lease: Lease, scan_id: str, spec: str) -> None:
    """Have a claimed rendition tried again as if this attempt had not been made."""
    _wait_again(session, _held(lease, scan_id, spec), {"attempts": Rendition.attempts - 1})


def take_attempts_back(session: Session, lease: Lease, renditions: Sequence[tuple[str, str]]) -> None:
    """Leave these claimed, as if this attempt had not been made: they are tried again when the lease has ended."""
    if not renditions:
        return
    session.execute(
        update(Rendition)
        .where(*these_renditions(renditions), *_held_by(lease))
        .values(attempts=Rendition.attempts - 1),
        execution_options={"synchronize_session": False},
    )


def renew_renditions(session: Session, lease: Lease, until: datetime) -> None:
    """Keep claimed renditions longer."""
    session.execute(update(Rendition).where(*_held_by(lease)).values(lease_until=until))


def release_renditions(session: Session, lease: Lease) -> None:
    """Hand claimed renditions back untried, as a worker does that is asked to stop."""
    _wait_again(session, _held_by(lease), {"attempts": Rendition.attempts - 1})


def _wait_again(session: Session, held: Sequence[ColumnElement[bool]], more: dict[str, Any]) -> None:
    handed_back = session.execute(
        update(Rendition)
        .where(*held)
        .values(state=WorkState.WAITING, lease_token=None, lease_until=None, **more)
        .returning(Rendition.scan_id, Rendition.spec),
        execution_options={"synchronize_session": False},
    ).all()
    if handed_back:
        settle_lanes(session, *these_renditions([(scan_id, spec) for scan_id, spec in handed_back]))


def these_renditions(keys: Collection[tuple[str, str]]) -> tuple[ColumnElement[bool], ...]:
    """The scans by themselves too: for pairs alone SQLite uses no index, and reads every rendition there is."""
    return Rendition.scan_id.in_([scan_id for scan_id, _ in keys]), tuple_(Rendition.scan_id, Rendition.spec).in_(keys)


def _held(lease: Lease, scan_id: str, spec: str) -> tuple[ColumnElement[bool], ...]:
    return Rendition.scan_id == scan_id, Rendition.spec == spec, *_held_by(lease)


def _held_by(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return Rendition.lease_token == lease.token, Rendition.state == WorkState.WORKING


def runs_with_spec(spec: str) -> Select[Any]:
    """The live runs whose jobs need renditions of this spec."""
    return (
        select(Run.id)
        .join(Checkpoint, Checkpoint.id == Run.checkpoint_id)
        .where(Checkpoint.rendition_spec == spec, Run.state != RunState.CANCELLED)
    )
