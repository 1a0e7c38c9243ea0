"""The audit trail: who did what, in the same transaction as the deed."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from screening.database.inserting import insert_into
from screening.database.tables import AuditEvent

LONGEST_ACTOR = 100
SIGN_IN_FAILED = "signed.in_failed"
MOST_FAILURES_PER_HOUR = 500
MOST_FAILURES_OF_AN_ADDRESS = 20


def record(
    session: Session, now: datetime, actor: str, action: str, subject: str, detail: dict[str, Any] | None = None
) -> None:
    """Add one event. `action` is a verb phrase such as `run.opened`; `detail` must be JSON."""
    session.add(AuditEvent(at=now, actor=actor[:LONGEST_ACTOR], action=action, subject=subject, detail=detail or {}))


def record_hourly(
    session: Session, now: datetime, actor: str, action: str, subject: str, detail: dict[str, Any]
) -> None:
    """Add an event that is told once for this actor and subject in every hour of the clock, whoever else tells it."""
    hour = f"{now:%Y-%m-%dT%H}"
    once = hashlib.sha256("\0".join((action, actor, subject, hour)).encode()).hexdigest()
    values = {"at": now, "actor": actor, "action": action, "subject": subject, "detail": detail, "once": once}
    statement = insert_into(session, AuditEvent).values(**values)
    session.execute(statement.on_conflict_do_nothing(index_elements=[AuditEvent.once]))


def record_failed_sign_in(session: Session, now: datetime, address: str, subject: str, by: str) -> None:
    """Add an event for a sign-in that failed, but for floods: so many in an hour from one address and from all."""
    actor = f"address {address}"[:LONGEST_ACTOR]
    failures = select(func.count()).where(AuditEvent.at > now - timedelta(hours=1), AuditEvent.action == SIGN_IN_FAILED)
    from_here = session.scalar(failures.where(AuditEvent.actor == actor)) or 0
    if from_here >= MOST_FAILURES_OF_AN_ADDRESS or (session.scalar(failures) or 0) >= MOST_FAILURES_PER_HOUR:
        return
    last = {"then": "no more of this address are noted in this hour"}
    detail = {"by": by, "address": address, **(last if from_here + 1 == MOST_FAILURES_OF_AN_ADDRESS else {})}
    record(session, now, actor, SIGN_IN_FAILED, subject, detail)


def recent(session: Session, limit: int = 100, before: int | None = None, search: str = "") -> Sequence[AuditEvent]:
    """The newest events, older than event `before` where it is given; `search` is part of who, what, or of what."""
    statement = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(AuditEvent.id < before)
    if search:
        columns = (AuditEvent.actor, AuditEvent.action, AuditEvent.subject)
        statement = statement.where(or_(*(column.icontains(search, autoescape=True) for column in columns)))
    return session.scalars(statement).all()
