"""Holds: a reader has a scan open, and others see that, so that two readers do not do the same work.

A hold is a courtesy and never a lock: whoever is shown another's hold may read and decide all the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, case, delete, literal, or_, select
from sqlalchemy.orm import Session

from screening.database.base import UtcDateTime
from screening.database.inserting import insert_into
from screening.database.review_tables import Hold
from screening.database.tables import Scan
from screening.scans import get_scan


@dataclass(frozen=True)
class Held:
    """Who has a scan open, since when, and until when unless it is renewed."""

    reader: str
    held_since: datetime
    held_until: datetime


def take(session: Session, now: datetime, scan_id: str, reader: str, seconds: float) -> Held:
    """Take or renew the hold of this reader: who holds the scan now, which is another reader where one came first.

    One statement, so that of two readers who come at once only one gets it, and a renewal costs one small write.
    Raises NotFound for an unknown scan.
    """
    columns = ("scan_id", "reader", "held_since", "held_until")
    since, until = literal(now, UtcDateTime()), literal(now + timedelta(seconds=seconds), UtcDateTime())
    offered = select(Scan.id, literal(reader), since, until)
    statement = insert_into(session, Hold).from_select(columns, offered.where(Scan.id == scan_id))
    goes_on = and_(Hold.reader == reader, Hold.held_until > now)
    taken = session.execute(
        statement.on_conflict_do_update(
            index_elements=[Hold.scan_id],
            set_={
                "reader": reader,
                "held_since": case((goes_on, Hold.held_since), else_=since),
                "held_until": statement.excluded.held_until,
            },
            where=or_(Hold.reader == reader, Hold.held_until <= now),
        ).returning(Hold.reader, Hold.held_since, Hold.held_until)
    ).first()
    if taken is not None:
        return Held(*taken)
    held = holder(session, now, scan_id)
    if held is None:
        get_scan(session, scan_id)
        # The other reader let go between the two statements.
        return take(session, now, scan_id, reader, seconds)
    return held


def release(session: Session, scan_id: str, reader: str) -> bool:
    """Let go of a scan; whether this reader held it."""
    statement = delete(Hold).where(Hold.scan_id == scan_id, Hold.reader == reader).returning(Hold.scan_id)
    return session.scalar(statement) is not None


def holder(session: Session, now: datetime, scan_id: str) -> Held | None:
    """Who has this scan open; None where nobody has, or the hold has ended."""
    return holders(session, now, [scan_id]).get(scan_id)


def holders(session: Session, now: datetime, scan_ids: Iterable[str]) -> dict[str, Held]:
    """By scan, who has it open; scans that nobody has open are left out."""
    rows = session.execute(
        select(Hold.scan_id, Hold.reader, Hold.held_since, Hold.held_until).where(
            Hold.scan_id.in_(list(scan_ids)), Hold.held_until > now
        )
    )
    return {row.scan_id: Held(row.reader, row.held_since, row.held_until) for row in rows}
