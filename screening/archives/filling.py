"""The runs that visits fill: one at a time for each archive, always for the checkpoint that is active."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from screening import checkpoints
from screening.database.schedule_tables import Archive
from screening.database.states import Lane, RunState
from screening.database.tables import Checkpoint, Run
from screening.database.transactions import committed
from screening.errors import Conflict
from screening.ledger.lease import Lease
from screening.runs.lifecycle import TAKES_FILES, open_run, submit_run
from screening.system import System


def run_to_fill(system: System, archive: Archive, lease: Lease, run_id: int | None) -> int | None:
    """The run that the next files of a visit go to; `run_id` names the one of its files before.

    A run for a checkpoint that was replaced is submitted, and another one begun: what is new belongs into the worklist,
    which shows the active checkpoint. Another one is begun, too, where a person has submitted it. None where the
    archive was removed or is visited by somebody else. Raises Conflict where no checkpoint is active, or a person has
    cancelled the run.
    """
    held = select(Archive.id).where(Archive.lease_token == lease.token)
    if run_id is not None:
        same = select(Run.id).join(Checkpoint, Checkpoint.id == Run.checkpoint_id)
        with system.database.read() as session:
            if session.scalar(same.where(Run.id == run_id, *TAKES_FILES, Checkpoint.active, held.exists())) is not None:
                return run_id
            if session.scalar(select(Run.state).where(Run.id == run_id)) == RunState.CANCELLED:
                raise Conflict(
                    "run_cancelled",
                    f"Run {run_id} was cancelled, and the visit ended with it. The next visit finds what this one had "
                    "not come to.",
                )

    def begin(session: Session) -> int | None:
        # Locked, so that whoever removes the archive at this moment finds the run that is opened.
        if session.scalar(held.with_for_update(read=True)) is None:
            return None
        now, active = system.clock(), checkpoints.active(session).id
        going_on = None
        for run in open_runs_of(session, archive.id):
            if run.checkpoint_id == active:
                going_on = run.id
            else:
                submit_run(session, now, run.id, actor_of(archive.id))
        return going_on or _open_run(session, now, archive)

    return committed(system.database, begin)


def open_runs_of(session: Session, archive_id: int) -> Sequence[Run]:
    """Those that take more files, the oldest first: a visit that is under way has one, or one that was cut short."""
    return session.scalars(
        select(Run).where(*TAKES_FILES, Run.created_by == actor_of(archive_id)).order_by(Run.id)
    ).all()


def submit_runs_of(session: Session, now: datetime, archive_id: int, actor: str) -> None:
    """Say that nothing more comes from this archive. An archive has few runs that are open, as a rule one."""
    for run in open_runs_of(session, archive_id):
        submit_run(session, now, run.id, actor)


def actor_of(archive_id: int) -> str:
    return f"archive {archive_id}"


def _open_run(session: Session, now: datetime, archive: Archive) -> int:
    name = f"{archive.url[-150:]}, {now:%Y-%m-%d}"
    return open_run(session, now, name, Lane.ARCHIVE.label, actor_of(archive.id)).id
