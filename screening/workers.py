"""Signs of life: each process keeps one row fresh, and everybody else reads how old it is."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from screening.database.tables import Worker

BEAT_EVERY_S = 5.0
ALIVE_WITHIN = timedelta(seconds=30)
FORGOTTEN_AFTER = timedelta(hours=24)


def beat(session: Session, now: datetime, name: str, kind: str, details: dict[str, Any]) -> None:
    """Say that this process is alive and what it runs on."""
    seen = session.scalar(
        update(Worker).where(Worker.name == name).values(seen_at=now, details=details).returning(Worker.name)
    )
    if seen is None:
        session.add(Worker(name=name, kind=kind, started_at=now, seen_at=now, details=details))


def sign_off(session: Session, name: str) -> None:
    session.execute(delete(Worker).where(Worker.name == name))


def alive(session: Session, now: datetime, kind: str | None = None) -> Sequence[Worker]:
    """Processes seen within the last 30 seconds."""
    statement = select(Worker).where(Worker.seen_at > now - ALIVE_WITHIN).order_by(Worker.kind, Worker.name)
    return session.scalars(statement.where(Worker.kind == kind) if kind else statement).all()


def forget_the_dead(session: Session, now: datetime) -> None:
    """Drop rows of processes that were not seen for a day."""
    session.execute(delete(Worker).where(Worker.seen_at < now - FORGOTTEN_AFTER))
