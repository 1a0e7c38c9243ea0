"""The candidate: the one checkpoint that schedules try on the archive while another is active."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from screening import audit, checkpoints
from screening.database.tables import Checkpoint
from screening.errors import Conflict


def candidate(session: Session) -> Checkpoint | None:
    return session.scalar(select(Checkpoint).where(Checkpoint.candidate))


def nominate(session: Session, now: datetime, checkpoint_id: str, actor: str) -> Checkpoint:
    """Make this checkpoint the candidate in place of any other. Raises NotFound, Conflict for the active one."""
    chosen = checkpoints.get(session, checkpoint_id)
    if chosen.active:
        raise Conflict("active_checkpoint", f"{chosen.name} is active already, so it cannot be tried as a candidate.")
    if chosen.candidate:
        return chosen
    former = candidate(session)
    session.execute(update(Checkpoint).where(Checkpoint.candidate).values(candidate=False))
    session.execute(update(Checkpoint).where(Checkpoint.id == chosen.id).values(candidate=True))
    detail = {"former": former.id if former else None}
    audit.record(session, now, actor, "checkpoint.nominated", chosen.id, detail)
    session.refresh(chosen)
    return chosen


def withdraw(session: Session, now: datetime, actor: str) -> None:
    """Have no candidate. Schedules that use it do nothing until there is one again."""
    former = candidate(session)
    if former is not None:
        session.execute(update(Checkpoint).where(Checkpoint.candidate).values(candidate=False))
        audit.record(session, now, actor, "checkpoint.withdrawn", former.id)
        session.refresh(former)
