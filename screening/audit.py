"""The audit trail: who did what, in the same transaction as the deed."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from screening.database.tables import AuditEvent


def record(
    session: Session, now: datetime, actor: str, action: str, subject: str, detail: dict[str, Any] | None = None
) -> None:
    """Add one event. `action` is a verb phrase such as `run.opened`; `detail` must be JSON."""
    session.add(AuditEvent(at=now, actor=actor, action=action, subject=subject, detail=detail or {}))


def recent(session: Session, limit: int = 100, before: int | None = None, search: str = "") -> Sequence[AuditEvent]:
    """The newest events, older than event `before` where it is given; `search` is part of who, what, or of what."""
    statement = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(AuditEvent.id < before)
    if search:
        columns = (AuditEvent.actor, AuditEvent.action, AuditEvent.subject)
        statement = statement.where(or_(*(column.icontains(search, autoescape=True) for column in columns)))
    return session.scalars(statement).all()
