"""Admitting files to a run: scan, job and receipt rows, in one transaction after the object is in storage."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Executable, Select, or_, select, update
from sqlalchemy.orm import Session

from screening.database.base import Base
from screening.database.inserting import insert_for
from screening.database.states import JobState, RunState, WorkState
from screening.database.tables import Checkpoint, Container, Job, Prediction, Receipt, Rendition, Run, Scan
from screening.erasure.words import ERASED_CODE, ERASED_NAME, ERASED_REASON
from screening.errors import Conflict
from screening.ledger.reviving import TRIED_AGAIN_WHEN_SENT, revive_jobs, revive_renditions
from screening.ledger.unpacking import revive_container
from screening.runs.lifecycle import get_run

ReceiptStatus = Literal["accepted", "duplicate", "rejected"]
HASHES_PER_QUERY = 500


@dataclass(frozen=True)
class StoredFile:
    """A file whose bytes, or a reference to them, are in storage under their address."""

    name: str
    sha256: str
    size_bytes: int
    media_type: str
    in_place: bool = False
    """Only a reference was kept: the bytes stay in an archive."""


@dataclass(frozen=True)
class Receipted:
    """What became of one submitted file, as its sender is told."""

    name: str
    sha256: str | None
    status: ReceiptStatus
    code: str | None = None
    reason: str | None = None


def scan_id_of(sha256: str) -> str:
    return sha256[:32]


def known_hashes(session: Session, hashes: Sequence[str]) -> set[str]:
    """Which of these SHA-256 digests are scans of this installation whose original it has."""
    known: set[str] = set()
    for start in range(0, len(hashes), HASHES_PER_QUERY):
        part = hashes[start : start + HASHES_PER_QUERY]
        known.update(
            session.scalars(select(Scan.sha256).where(Scan.sha256.in_(part), Scan.original_removed_at.is_(None)))
        )
    return known


def run_for_admission(session: Session, run_id: int) -> Run:
    """The run, if it still takes files. Raises NotFound or Conflict.

    Its row is share-locked, so that nobody submits and completes the run between this look and the commit of a file.
    """
    run = get_run(session, run_id, share_locked=True)
    if run.submitted_at is not None or run.state not in (RunState.OPEN, RunState.PAUSED):
        raise Conflict("run_closed", f"Run {run_id} takes no more files; it is {run.state}. Open a new run for them.")
    return run


def admit_scan(
    session: Session, now: datetime, run: Run, file: StoredFile, container_id: int | None = None
) -> Receipted:
    """Admit one file as a scan of this run.

    The same bytes are one scan, whatever they are called. A scan that the run's checkpoint has screened is not
    screened again: its job is finished at once. Admitting the same file under the same name twice changes nothing,
    unless sending it again mends what it was rejected for: then its job begins anew. What was erased is rejected, and
    its name is not kept.
    """
    scan_id = scan_id_of(file.sha256)
    spec = _spec_of(session, run)
    new = _insert_missing(
        session,
        Scan,
        {
            "id": scan_id,
            "sha256": file.sha256,
            "size_bytes": file.size_bytes,
            "media_type": file.media_type,
            "file_name": file.name,
            "received_at": now,
            "facts": {},
            "original_in_place": file.in_place,
        },
    )
    if not new:
        # Locked as every job locks it that refers to it, so that nobody erases it between this look and the commit.
        erased: Select[Any] = select(Scan.erased_at).where(Scan.id == scan_id)
        if session.scalar(erased.with_for_update(read=True, key_share=True)) is not None:
            refuse_file(session, now, run, ERASED_NAME, None, file.size_bytes, ERASED_CODE, ERASED_REASON, container_id)
            return Receipted(file.name, file.sha256, "rejected", ERASED_CODE, ERASED_REASON)
        # The bytes are in storage again, should they have been removed, or for the first time.
        lacked = Scan.original_removed_at.is_not(None)
        session.execute(
            update(Scan)
            .where(Scan.id == scan_id, lacked if file.in_place else or_(lacked, Scan.original_in_place))
            .values(original_removed_at=None, original_in_place=file.in_place)
        )
    new_rendition = _insert_missing(
        session,
        Rendition,
        {
            "scan_id": scan_id,
            "spec": spec,
            "state": WorkState.WAITING,
            "lane": run.lane,
            "queued_at": now,
            "attempts": 0,
        },
    )
    # A scan whose rendition did not exist until now has no prediction, and nothing is known of it.
    first_state = {"state": JobState.PREPARING} if new_rendition else _state_so_far(session, now, run, scan_id, spec)
    new_job = _insert_missing(
        session,
        Job,
        {
            "run_id": run.id,
            "scan_id": scan_id,
            "file_name": file.name,
            "attempts": 0,
            "created_at": now,
            **first_state,
        },
    )
    if not new_job:
        revive_jobs(session, run.id, scan_id, first_state)
    status: ReceiptStatus = "accepted" if new else "duplicate"
    reason = None if new else "The server has this picture already; it is listed in this run and not screened twice."
    _add_receipt(
        session, now, run.id, file.name, file.sha256, file.size_bytes, status, None, reason, scan_id, container_id
    )
    return Receipted(file.name, file.sha256, status, None, reason)


def admit_known(session: Session, now: datetime, run: Run, sha256: str, name: str) -> Receipted | None:
    """Admit a scan whose bytes the server has, without sending them again; None where it does not have them."""
    scan = session.get(Scan, scan_id_of(sha256))
    if scan is None or scan.sha256 != sha256 or scan.original_removed_at is not None:
        return None
    file = StoredFile(name, sha256, scan.size_bytes, scan.media_type, in_place=scan.original_in_place)
    return admit_scan(session, now, run, file)


def admit_container(session: Session, now: datetime, run: Run, file: StoredFile) -> Receipted:
    """Admit a zip or tar file, to be unpacked into this run by a prepare worker.

    It is unpacked once, unless sending it again mends what it was rejected for.
    """
    new = _insert_missing(
        session,
        Container,
        {
            "run_id": run.id,
            "sha256": file.sha256,
            "file_name": file.name,
            "state": WorkState.WAITING,
            "lane": run.lane,
            "queued_at": now,
            "attempts": 0,
        },
    )
    new = new or revive_container(session, now, run.id, run.lane, file.sha256)
    status: ReceiptStatus = "accepted" if new else "duplicate"
    reason = None if new else "This run has this container already; it is unpacked once."
    _add_receipt(session, now, run.id, file.name, file.sha256, file.size_bytes, status, "container", reason, None, None)
    return Receipted(file.name, file.sha256, status, "container", reason)


def refuse_file(
    session: Session,
    now: datetime,
    run: Run,
    name: str,
    sha256: str | None,
    size_bytes: int,
    code: str,
    reason: str,
    container_id: int | None = None,
) -> Receipted:
    """Keep the receipt of a file that was refused at the door; nothing else of it is kept."""
    if sha256 is None and _refused_before(session, run.id, name, size_bytes):
        return Receipted(name, None, "rejected", code, reason)
    _add_receipt(session, now, run.id, name, sha256, size_bytes, "rejected", code, reason, None, container_id)
    return Receipted(name, sha256, "rejected", code, reason)


def _refused_before(session: Session, run_id: int, name: str, size_bytes: int) -> bool:
    """Whether a file without a hash has its receipt: it is sent again by everybody who resumes an upload."""
    return bool(
        session.scalar(
            select(Receipt.id)
            .where(
                Receipt.run_id == run_id,
                Receipt.sha256.is_(None),
                Receipt.file_name == name,
                Receipt.size_bytes == size_bytes,
            )
            .limit(1)
        )
    )


def _spec_of(session: Session, run: Run) -> str:
    """Asked for once in a transaction, which may admit fifty files: a checkpoint's spec never changes."""
    specs: dict[str, str] = session.info.setdefault("rendition_specs", {})
    if run.checkpoint_id not in specs:
        found = select(Checkpoint.rendition_spec).where(Checkpoint.id == run.checkpoint_id)
        specs[run.checkpoint_id] = session.scalars(found).one()
    return specs[run.checkpoint_id]


def _state_so_far(session: Session, now: datetime, run: Run, scan_id: str, spec: str) -> dict[str, Any]:
    """Where a job of a scan that came before begins: screened, rejected, queued or preparing.

    A rendition that still waits becomes as urgent as this run; one that was set aside, or lost its original, is made.
    """
    this = (Rendition.scan_id == scan_id, Rendition.spec == spec)
    # Locked first, so that a rendition that becomes ready, or waits again, at this moment either is seen here or sees
    # this job.
    rendition = session.execute(
        select(Rendition.state, Rendition.lane, Rendition.problem_code, Rendition.problem)
        .where(*this)
        .with_for_update()
    ).one()
    rejected = rendition.state == WorkState.REJECTED
    if rejected and rendition.problem_code in TRIED_AGAIN_WHEN_SENT:
        revive_renditions(session, now, run.lane, TRIED_AGAIN_WHEN_SENT, *this)
        rejected = False
    elif rendition.state == WorkState.WAITING and rendition.lane > run.lane:
        session.execute(update(Rendition).where(*this).values(lane=run.lane))
    screened = session.scalar(
        select(Prediction.id).where(Prediction.scan_id == scan_id, Prediction.checkpoint_id == run.checkpoint_id)
    )
    if screened is not None:
        return {"state": JobState.SCREENED, "finished_at": now}
    if rendition.state == WorkState.READY:
        return {"state": JobState.QUEUED}
    if rejected:
        return {
            "state": JobState.REJECTED,
            "problem_code": rendition.problem_code,
            "problem": rendition.problem,
            "finished_at": now,
        }
    return {"state": JobState.PREPARING}


def _add_receipt(
    session: Session,
    now: datetime,
    run_id: int,
    name: str,
    sha256: str | None,
    size_bytes: int,
    status: str,
    code: str | None,
    reason: str | None,
    scan_id: str | None,
    container_id: int | None,
) -> None:
    _insert_missing(
        session,
        Receipt,
        {
            "run_id": run_id,
            "file_name": name,
            "sha256": sha256,
            "size_bytes": size_bytes,
            "scan_id": scan_id,
            "container_id": container_id,
            "status": status,
            "code": code,
            "reason": reason,
            "received_at": now,
        },
    )


def _insert_missing(session: Session, table: type[Base], values: dict[str, Any]) -> bool:
    """Insert a row unless one with the same key is there. Returns whether it was inserted."""
    statement = _insert_statement(table, session.get_bind().dialect.name)
    return session.connection().execute(statement, values).first() is not None


@functools.cache
def _insert_statement(table: type[Base], dialect: str) -> Executable:
    """Made once for each table: an upload inserts four rows per file, and building one costs more than running it."""
    plain: Any = table.__table__
    return insert_for(dialect, plain).on_conflict_do_nothing().returning(*plain.primary_key.columns)
